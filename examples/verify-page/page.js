// Checks a proof that is chosen or dropped against what the reader trusts, and says in words what came of it. All that a proof
// holds is put on the page as text. Nothing is sent: the page's policy forbids connections.
import { kernelName, NeleusError, verifyProofFile } from "./neleus-verify.js";

/** A tab holds the file, the text and what is read of it at once. */
const MAX_FILE_BYTES = 256 * 2 ** 20;
const MAX_PREVIEW_BYTES = 4096;
const FIELDS = ["verifierKey", "checkpoint", "root"];

/** Each verdict: a mark, a heading, and what it means for the reader. */
const VERDICTS = {
  shown: ["✓", "Shown", "The proof shows what is listed below, and hangs on what you trust."],
  "not-anchored": [
    "?",
    "Consistent, but not anchored",
    "All parts of the proof fit together, but nothing that you gave says that they are of the right database: anybody can make such a proof.",
  ],
  incomplete: ["…", "Incomplete", "What is there may be right, but it does not show what the proof says."],
  failed: ["✗", "Failed", "Something in the proof is wrong. Do not rely on it, and keep the file as evidence."],
  forked: [
    "✗",
    "Two histories",
    "The checkpoint in the proof and what you trust do not belong to one history. Do not rely on it, and keep both as evidence.",
  ],
  unknown: [
    "?",
    "Not known to this page",
    "The proof is of a version or kind that this page does not know. It may be right.",
  ],
  question: ["!", "Not checked", "Something that you gave to hold the proof against is not what its field asks for."],
  broken: ["!", "This page failed", "That is a fault of the page, and says nothing about the proof."],
};

const STATE_OF_CODE = {
  VERIFICATION_FAILED: "failed",
  INCOMPLETE_PROOF: "incomplete",
  FORKED: "forked",
  NEW_EPOCH: "forked",
  UNSUPPORTED: "unknown",
  INVALID_ARGUMENT: "question",
};

const element = (id) => document.getElementById(id);
let chosen;
/** Only the newest check may write its result. */
let newest = 0;

async function check() {
  newest += 1;
  const mine = newest;
  showProblem(undefined);
  const file = chosen;
  if (file === undefined) {
    show({ state: "waiting", heading: "No proof chosen yet", meaning: "Choose a file first." });
    return;
  }
  show({ state: "checking", heading: "Checking…", meaning: file.name });
  const outcome = await outcomeOf(file);
  if (mine === newest) present(file, outcome);
}

async function outcomeOf(file) {
  try {
    if (file.size > MAX_FILE_BYTES) {
      return {
        state: "unknown",
        reason: `The file is larger than the ${MAX_FILE_BYTES / 2 ** 20} MiB that this page reads.`,
      };
    }
    const bytes = new Uint8Array(await file.arrayBuffer());
    const report = await verifyProofFile(bytes, anchors());
    return { state: report.verdict === "shown" ? "shown" : "not-anchored", report };
  } catch (error) {
    const isKnown = error instanceof NeleusError && error.code in STATE_OF_CODE;
    return {
      state: isKnown ? STATE_OF_CODE[error.code] : "broken",
      reason: error instanceof Error ? error.message : String(error),
      field: isKnown ? error.field : undefined,
    };
  }
}

function anchors() {
  const given = FIELDS.map((name) => [name, element(name).value]);
  // The lines of a note are part of it: only a key and a root are trimmed.
  const trimmed = given.map(([name, text]) => [name, name === "checkpoint" ? withLastLine(text) : text.trim()]);
  return Object.fromEntries(trimmed.filter(([, text]) => text !== ""));
}

/** A note ends with a line feed, which is easily lost in pasting. */
function withLastLine(text) {
  const note = text.trim();
  return note === "" ? "" : `${note}\n`;
}

function present(file, { state, report, reason, field }) {
  const [mark, heading, meaning] = VERDICTS[state];
  show({ state, heading: `${mark} ${heading}: ${file.name}`, meaning, parts: parts(report, reason) });
  if (state === "question") showProblem({ field, reason });
  element("engine").textContent = `Hashed by ${kernelName() === "wasm-simd" ? "WebAssembly" : "JavaScript alone"}.`;
}

function parts(report, reason) {
  if (report === undefined) return reason === undefined ? [] : [titled("Why", list([reason]))];
  const { shown, anchoredTo, notShown, claim } = report;
  return [
    titled("What is shown", list(shown)),
    titled("What of yours it was held against", list(anchoredTo.length > 0 ? anchoredTo : ["Nothing."])),
    titled("What is not shown", list(notShown)),
    ...content(claim),
  ];
}

/** What the proof holds, for reading: a value, keys, a manifest's or chunk's bytes, a commit. */
function content(claim) {
  switch (claim.kind) {
    case "state":
      return claim.value === undefined ? [] : [titled("The value", preview(claim.value))];
    case "range":
      return [
        titled(
          "The keys",
          list(claim.entries.map(({ key, sizeBytes }) => `${asText(key) ?? asHex(key)} (${sizeBytes} bytes)`)),
        ),
      ];
    case "chunk":
      return claim.bytes === undefined ? [] : [titled("The chunk", preview(claim.bytes))];
    case "manifest":
      return [titled("The manifest, DAG-CBOR", preview(claim.bytes))];
    case "ref":
    case "commit":
      return claim.commit === undefined ? [] : [titled("The commit", commitText(claim.commit))];
    default:
      return [];
  }
}

function commitText({ author, message, timeMs }) {
  const time = timeMs <= 8.64e15 ? new Date(timeMs).toISOString() : `${timeMs} ms after 1970`;
  return list([`Author, as it says: ${author}`, `Message: ${message}`, `Time, by its author's clock: ${time}`]);
}

function preview(bytes) {
  const start = bytes.subarray(0, MAX_PREVIEW_BYTES);
  const block = document.createElement("pre");
  block.tabIndex = 0;
  block.textContent = asText(start) ?? asHex(start);
  if (start.length < bytes.length) block.textContent += `\n… the first ${start.length} of ${bytes.length} bytes`;
  return block;
}

/** Text without control characters, else undefined. */
function asText(bytes) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return /[^\P{C}\n\t]/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

function asHex(bytes) {
  return `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function titled(title, body) {
  const section = document.createElement("section");
  const heading = document.createElement("h3");
  heading.textContent = title;
  section.append(heading, body);
  return section;
}

function list(lines) {
  const items = document.createElement("ul");
  for (const line of lines) {
    const item = document.createElement("li");
    item.textContent = line;
    items.append(item);
  }
  return items;
}

function show({ state, heading, meaning, parts: children = [] }) {
  element("verdict").textContent = heading;
  element("meaning").textContent = meaning;
  element("details").replaceChildren(...children);
  element("result").dataset.state = state;
}

function showProblem(problem) {
  for (const name of FIELDS) element(name).setAttribute("aria-invalid", String(problem?.field === name));
  element("problem").textContent = problem?.reason ?? "";
  if (FIELDS.includes(problem?.field)) element(problem.field).focus();
}

function choose(file) {
  if (file === undefined) return;
  chosen = file;
  void check();
}

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  void check();
});
element("file").addEventListener("change", () => choose(element("file").files[0]));
for (const name of FIELDS) {
  element(name).addEventListener("change", () => {
    if (chosen !== undefined) void check();
  });
}
// Anywhere on the page: a file that misses the field must not replace the page.
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  element("drop").classList.add("over");
});
document.addEventListener("dragleave", () => element("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  element("drop").classList.remove("over");
  choose(event.dataTransfer?.files[0]);
});
element("result").dataset.ready = "true";
