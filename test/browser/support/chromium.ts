// A headless Chromium, driven over its debugging pipe: messages of the Chrome DevTools Protocol as JSON, each ended by a zero
// byte, written to file descriptor 3 of the browser and read from its 4. No port is opened, and nothing but Node is needed.
import { spawn, type ChildProcess } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";
import type { Readable, Writable } from "node:stream";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const CALL_TIMEOUT_MS = 60_000;

export type Json = Readonly<Record<string, unknown>>;

/** The browser's program: `$CHROMIUM`, or the first of the usual names on the path. @throws Error - there is none */
export function findChromium(): string {
  const names = process.env["CHROMIUM"] === undefined ? NAMES : [process.env["CHROMIUM"]];
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  for (const path of names.flatMap((name) =>
    isAbsolute(name) ? [name] : folders.map((folder) => join(folder, name)),
  )) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      continue;
    }
  }
  throw new Error(
    `no Chromium: looked for ${names.join(", ")} on the path. Install one, or set CHROMIUM to its program`,
  );
}

interface Pending {
  readonly resolve: (result: Json) => void;
  readonly reject: (error: Error) => void;
}

export class Chromium {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Map<string, (method: string, params: Json) => void>();
  readonly #errors: Buffer[] = [];
  #nextId = 1;
  #unread = "";

  private constructor(child: ChildProcess, profile: string) {
    this.#child = child;
    this.#profile = profile;
    child.stderr?.on("data", (data: Buffer) => this.#errors.push(data));
    const decoder = new TextDecoder();
    (child.stdio[4] as Readable).on("data", (data: Buffer) => this.#take(decoder.decode(data, { stream: true })));
    child.once("error", (error) => this.#end(error));
    child.once("exit", (code) =>
      this.#end(
        new Error(`Chromium ended with ${String(code)}: ${Buffer.concat(this.#errors).toString().slice(-2000)}`),
      ),
    );
  }

  static async start(): Promise<Chromium> {
    const profile = await mkdtemp(join(tmpdir(), "neleus-chromium-"));
    const options = [
      "--headless=new",
      "--remote-debugging-pipe",
      `--user-data-dir=${profile}`,
      "--no-first-run",
      "--no-default-browser-check",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      // Chromium refuses to run as root with its sandbox, and containers often give it no other user.
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
      "about:blank",
    ];
    const child = spawn(findChromium(), options, { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] });
    const browser = new Chromium(child, profile);
    await browser.call("Browser.getVersion", {});
    return browser;
  }

  /** A new tab. Its events go to `listen`. */
  async openTab(listen: (method: string, params: Json) => void): Promise<string> {
    const { targetId } = await this.call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.call("Target.attachToTarget", { targetId, flatten: true });
    this.#listeners.set(sessionId as string, listen);
    return sessionId as string;
  }

  /** @throws Error - the browser refuses, has ended, or does not answer in time */
  async call(method: string, params: Json, sessionId?: string): Promise<Json> {
    const id = this.#nextId;
    this.#nextId += 1;
    const message = { id, method, params, ...(sessionId === undefined ? {} : { sessionId }) };
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Json>((resolve, reject) => {
        this.#pending.set(id, { resolve, reject });
        timer = setTimeout(() => reject(new Error(`${method}: no answer in ${CALL_TIMEOUT_MS} ms`)), CALL_TIMEOUT_MS);
        (this.#child.stdio[3] as Writable).write(`${JSON.stringify(message)}\0`);
      });
    } finally {
      clearTimeout(timer);
      this.#pending.delete(id);
    }
  }

  async close(): Promise<void> {
    const exited = new Promise((resolve) => this.#child.once("exit", resolve));
    const killed = setTimeout(() => this.#child.kill("SIGKILL"), 5_000);
    if (this.#child.exitCode === null) {
      // Its answer may be lost as it goes.
      this.call("Browser.close", {}).catch(() => undefined);
      await exited;
    }
    clearTimeout(killed);
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  #take(text: string): void {
    const messages = (this.#unread + text).split("\0");
    this.#unread = messages.pop() ?? "";
    for (const message of messages) this.#dispatch(JSON.parse(message) as Json);
  }

  #dispatch({ id, result, error, method, params, sessionId }: Json): void {
    if (typeof id !== "number") {
      this.#listeners.get(sessionId as string)?.(method as string, params as Json);
      return;
    }
    const pending = this.#pending.get(id);
    if (error === undefined) pending?.resolve((result ?? {}) as Json);
    else pending?.reject(new Error(JSON.stringify(error)));
  }

  #end(error: Error): void {
    for (const { reject } of this.#pending.values()) reject(error);
  }
}
