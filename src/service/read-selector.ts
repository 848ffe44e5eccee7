// What a read of state or ledger names, and where it is answered: the messages ReadSelector and ReadPosition.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ReadPositionSchema, ReadSelector as ReadSelectorMessage } from "../../gen/neleus/v1/proof_pb.js";
import type { ReadPoint, ReadSelector, View } from "../database/index.js";
import { commitHashField, forField, headField, invalid, mapRootField } from "./request.js";

/** A selector whose form has been checked, and the path of the field that is set. */
export interface CheckedSelector {
  readonly selector: ReadSelector;
  readonly field: string;
}

/** @throws InvalidArgument - nothing is set, or no name or hash */
export function selectorField(at: ReadSelectorMessage | undefined, field: string): CheckedSelector {
  const choice = at?.at;
  switch (choice?.case) {
    case "staged":
      return { selector: { staged: headField(choice.value, `${field}.staged`) }, field: `${field}.staged` };
    case "head":
      return { selector: { head: headField(choice.value, `${field}.head`) }, field: `${field}.head` };
    case "commit":
      return { selector: { commit: commitHashField(choice.value, `${field}.commit`) }, field: `${field}.commit` };
    case "root":
      return { selector: { root: mapRootField(choice.value, `${field}.root`) }, field: `${field}.root` };
    case undefined:
      throw invalid(field, "says nothing of what to read", "set staged, head, commit or root");
  }
}

/** Where the view answers a read. Errors as of `View.resolve`; an InvalidArgument names the field that is set. */
export async function resolveAt(view: View, at: CheckedSelector): Promise<ReadPoint> {
  return forField(at.field, view.resolve(at.selector));
}

export function readPosition(point: ReadPoint): MessageInitShape<typeof ReadPositionSchema> {
  return {
    root: point.state.root,
    commit: point.commit?.hash ?? new Uint8Array(0),
    logSize: BigInt(point.logSize),
  };
}
