// The keys of a space, for a check that goes on where they cannot be listed to the end.
import { NeleusError, type Corrupt } from "../../core/errors.js";
import type { Space, Store } from "../../store/contract.js";
import { REPAIR_RESTORE, REPAIR_UNNAMED } from "./finding.js";
import type { FindingRegister } from "./register.js";

export async function* rowKeys(
  { store, register }: { readonly store: Store; readonly register: FindingRegister },
  space: Space,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    // Of what was sealed and cannot be opened nothing tells the key.
    const onUnreadable = ({ message }: Corrupt): void =>
      register.report({ kind: "damaged", subject: "space", place: { space }, message, repair: REPAIR_UNNAMED });
    yield* store.iterate(space, { onUnreadable });
  } catch (error) {
    if (!(error instanceof NeleusError)) throw error;
    const message = `the rows of ${space} cannot be listed to the end: ${error.message}`;
    register.report({ kind: "unreadable", subject: "space", place: { space }, message, repair: REPAIR_RESTORE });
  }
}
