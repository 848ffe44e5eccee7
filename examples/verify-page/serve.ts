// npm run example:verify: the page on a loopback port. It is static: any web server can hand out the same four files.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const JAVASCRIPT = "text/javascript; charset=utf-8";
const FILES = new Map([
  ["/", { path: "examples/verify-page/index.html", type: "text/html; charset=utf-8" }],
  ["/page.js", { path: "examples/verify-page/page.js", type: JAVASCRIPT }],
  ["/page.css", { path: "examples/verify-page/page.css", type: "text/css; charset=utf-8" }],
  ["/neleus-verify.js", { path: "dist/verify/neleus-verify.js", type: JAVASCRIPT }],
]);

export interface ServedPage {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** Serves the page. A policy is sent as a header, on top of the page's own. */
export async function servePage(options: { readonly port: number; readonly policy?: string }): Promise<ServedPage> {
  const server = createServer((request, response) => {
    const file = request.method === "GET" ? FILES.get(request.url ?? "") : undefined;
    if (file === undefined) {
      response.writeHead(404).end();
      return;
    }
    readFile(root + file.path).then(
      (bytes) => {
        const policy = options.policy === undefined ? {} : { "content-security-policy": options.policy };
        const headers = { "content-type": file.type, "cache-control": "no-store", "x-content-type-options": "nosniff" };
        response.writeHead(200, { ...headers, ...policy }).end(bytes);
      },
      () => response.writeHead(500).end(`${file.path} is missing: npm run build`),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${port}/`, close };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { url } = await servePage({ port: Number(process.env["PORT"] ?? 8117) });
  console.log(`Check a proof at ${url} (Ctrl-C ends)`);
}
