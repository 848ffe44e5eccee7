// Map nodes as a check reads them: each hashed once, and what is wrong with one told once for each root that it is met from.
import { Corrupt, NeleusError } from "../../core/errors.js";
import type { Digest } from "../../core/hashes.js";
import { decodeNode, verifyNode } from "../../core/map/index.js";
import type { MapNode } from "../../core/map/index.js";
import type { SyncReader } from "../../store/contract.js";
import type { DigestSet } from "../digest-set.js";
import type { Affected } from "./finding.js";
import { REPAIR_FROM_COPY } from "./finding.js";
import type { FindingRegister } from "./register.js";

export interface CheckedNodesOptions {
  readonly rows: SyncReader;
  readonly register: FindingRegister;
  /** Nodes that were reached. */
  readonly reached: DigestSet;
}

export class CheckedNodes {
  readonly #options: CheckedNodesOptions;

  constructor(options: CheckedNodesOptions) {
    this.#options = options;
  }

  /** A row that nothing was seen to name. */
  checkUnreached(digest: Digest): void {
    const { rows, register } = this.#options;
    try {
      const stored = rows.get("nodes", digest);
      if (stored === undefined) return;
      register.looked(stored.length);
      verifyNode(stored, digest);
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      const place = { space: "nodes", key: digest } as const;
      const finding = { kind: kindOf(error), subject: "node", place, message: error.message } as const;
      register.hold({ ...finding, repair: REPAIR_FROM_COPY });
    }
  }

  /** The node, or undefined where it is not there or not right, which is then told. */
  read(digest: Digest, affected: Affected): MapNode | undefined {
    const { rows, reached, register } = this.#options;
    const place = { space: "nodes", key: digest } as const;
    const common = { subject: "node", place, repair: REPAIR_FROM_COPY } as const;
    try {
      const stored = rows.get("nodes", digest);
      if (stored === undefined) {
        register.hold({ ...common, kind: "missing", message: "a map node is missing" }, affected);
        return undefined;
      }
      const isNew = reached.add(digest);
      if (!isNew) return register.affect(place, affected) ? undefined : decodeNode(stored, { digest });
      register.looked(stored.length);
      return verifyNode(stored, digest);
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      register.hold({ ...common, kind: kindOf(error), message: error.message }, affected);
      return undefined;
    }
  }
}

function kindOf(error: NeleusError): "damaged" | "unreadable" {
  return error instanceof Corrupt && error.facts["lmdb_code"] === undefined ? "damaged" : "unreadable";
}
