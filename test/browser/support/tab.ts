// A tab of the headless browser, with what a test does in it and what it must not have done.
import type { Chromium, Json } from "./chromium.js";

const WAIT_MS = 30_000;
const STEP_MS = 25;

export class Tab {
  readonly #browser: Chromium;
  #session = "";
  /** Addresses that the tab asked for. */
  readonly requests: string[] = [];
  /** Errors in the console, thrown or reported, and warnings. */
  readonly complaints: string[] = [];

  private constructor(browser: Chromium) {
    this.#browser = browser;
  }

  static async open(browser: Chromium, url: string): Promise<Tab> {
    const tab = new Tab(browser);
    tab.#session = await browser.openTab((method, params) => tab.#note(method, params));
    for (const domain of ["Page", "Runtime", "Log", "Network", "DOM"]) await tab.call(`${domain}.enable`, {});
    await tab.call("Page.navigate", { url });
    return tab;
  }

  call(method: string, params: Json): Promise<Json> {
    return this.#browser.call(method, params, this.#session);
  }

  /** The value of an expression in the page. @throws Error - it throws there */
  async evaluate(expression: string): Promise<unknown> {
    const answer = await this.call("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (answer["exceptionDetails"] !== undefined) throw new Error(JSON.stringify(answer["exceptionDetails"]));
    return (answer["result"] as Json)["value"];
  }

  /** Waits until an expression is true in the page. */
  async until(expression: string): Promise<void> {
    const deadline = performance.now() + WAIT_MS;
    while ((await this.evaluate(expression)) !== true) {
      if (performance.now() > deadline) throw new Error(`not in ${WAIT_MS} ms: ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    }
  }

  /** Chooses files in an input, as the dialog of the browser does. */
  async chooseFiles(selector: string, files: readonly string[]): Promise<void> {
    const { root } = await this.call("DOM.getDocument", {});
    const { nodeId } = await this.call("DOM.querySelector", { nodeId: (root as Json)["nodeId"], selector });
    await this.call("DOM.setFileInputFiles", { files, nodeId });
  }

  /** Drags a file from outside to a point of the page and lets it go. */
  async dropFile(path: string, point: { readonly x: number; readonly y: number }): Promise<void> {
    const data = { items: [], files: [path], dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver", "drop"]) {
      await this.call("Input.dispatchDragEvent", { type, ...point, data });
    }
  }

  /** Presses and releases a key, as the keyboard does. */
  async press(key: string, code: { readonly keyCode: number; readonly text?: string }): Promise<void> {
    const event = { key, code: key, windowsVirtualKeyCode: code.keyCode };
    await this.call("Input.dispatchKeyEvent", {
      type: "keyDown",
      ...event,
      ...(code.text === undefined ? {} : { text: code.text }),
    });
    await this.call("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  /** Types text where the focus is. */
  async type(text: string): Promise<void> {
    await this.call("Input.insertText", { text });
  }

  #note(method: string, params: Json): void {
    if (method === "Network.requestWillBeSent") this.requests.push((params["request"] as Json)["url"] as string);
    if (method === "Runtime.exceptionThrown") this.complaints.push(JSON.stringify(params["exceptionDetails"]));
    if (method === "Log.entryAdded") this.complaints.push(String((params["entry"] as Json)["text"]));
    if (method === "Runtime.consoleAPICalled") this.complaints.push(JSON.stringify(params["args"]));
  }
}
