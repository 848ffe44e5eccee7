// Where a value sits inside an object, as errors show it: `inputs[2].blob[1]`.

/** Member names and list positions, outermost first. */
export type Path = readonly (string | number)[];

const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const SHOWN_CHARACTERS = 64;

/** The path as text, never long: odd member names are quoted and cut. Empty for the value itself. */
export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (PLAIN_NAME.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${JSON.stringify(step.slice(0, SHOWN_CHARACTERS))}]`;
  }
  return text;
}
