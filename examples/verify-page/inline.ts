// npm run example:verify:file -- [FILE]: the page in one file, default build/verify.html, which opens from a disk: browsers load no
// modules from files, but they run what stands in the page. Its policy names what stands there by hash, and still allows nothing else.
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const folder = `${root}examples/verify-page/`;

/** As a policy names a script or a style that stands in the page. */
function hashOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** Replaces what must be there exactly once. */
function replaceOnce(text: string, part: string, by: string): string {
  const pieces = text.split(part);
  if (pieces.length !== 2) throw new Error(`the page has ${pieces.length - 1} times: ${part}`);
  return pieces.join(by);
}

/** The page with its script, the verifier and its style in it. */
export async function inlinedPage(): Promise<string> {
  const source = await readFile(`${folder}page.js`, "utf8");
  const { outputFiles } = await build({
    stdin: { contents: replaceOnce(source, "./neleus-verify.js", "./dist/verify/neleus-verify.js"), resolveDir: root },
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    minify: true,
    charset: "utf8",
    legalComments: "inline",
    logLevel: "warning",
  });
  const script = `\n${outputFiles[0]?.text ?? ""}`;
  const style = `\n${await readFile(`${folder}page.css`, "utf8")}`;
  const page = await readFile(`${folder}index.html`, "utf8");
  const withPolicy = replaceOnce(
    page,
    "script-src 'self' 'wasm-unsafe-eval'; style-src 'self'",
    `script-src ${hashOf(script)} 'wasm-unsafe-eval'; style-src ${hashOf(style)}`,
  );
  const withStyle = replaceOnce(withPolicy, '<link rel="stylesheet" href="page.css" />', `<style>${style}</style>`);
  return replaceOnce(
    withStyle,
    '<script type="module" src="page.js"></script>',
    `<script type="module">${script}</script>`,
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const path = resolve(process.argv[2] ?? `${root}build/verify.html`);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, await inlinedPage());
  console.log(`Open ${pathToFileURL(path).href}`);
}
