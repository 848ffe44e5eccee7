// Commits and manifests as a check reads them: each hashed once.
import { equalBytes } from "../../core/bytes.js";
import { Malformed, NeleusError, Unsupported } from "../../core/errors.js";
import { commitHashOf, decodeCommit, decodeManifest, manifestHashOf } from "../../core/object/index.js";
import type { Commit, Manifest, Received } from "../../core/object/index.js";
import type { SyncReader } from "../../store/contract.js";
import type { DigestSet } from "../digest-set.js";
import type { Affected, FindingKind } from "./finding.js";
import { REPAIR_FROM_COPY } from "./finding.js";
import type { FindingRegister } from "./register.js";

export type ObjectKind = "commit" | "manifest";
/** As they are told apart in a set. */
const NUMBER_OF: Readonly<Record<ObjectKind, number>> = { commit: 1, manifest: 2 };

export interface CheckedObjectsOptions {
  readonly rows: SyncReader;
  readonly register: FindingRegister;
  readonly newSet: () => DigestSet;
}

export class CheckedObjects {
  readonly #options: CheckedObjectsOptions;
  /** By hash and kind: hashed, and whole. */
  readonly #whole: DigestSet;
  readonly #reached: DigestSet;

  constructor(options: CheckedObjectsOptions) {
    this.#options = options;
    this.#whole = options.newSet();
    this.#reached = options.newSet();
  }

  commit(hash: Uint8Array, affected: Affected): Received<Commit> | undefined {
    return this.#decoded(hash, "commit", decodeCommit, affected);
  }

  /** Undefined also for kinds that this version does not know, of which nothing is told. */
  manifest(hash: Uint8Array, affected: Affected): Received<Manifest> | undefined {
    return this.#decoded(hash, "manifest", decodeManifest, affected);
  }

  /** Something names it. @returns its bytes, or undefined where it is missing or not right, which is told */
  require(hash: Uint8Array, kind: ObjectKind, affected: Affected): Uint8Array | undefined {
    const { register, rows } = this.#options;
    const place = { space: "objects", key: hash } as const;
    if (register.affect(place, affected)) return undefined;
    try {
      const bytes = rows.get("objects", hash);
      if (bytes === undefined) {
        this.#hold(hash, "missing", `a ${kind} is missing`, affected);
        return undefined;
      }
      this.#reached.add(hash);
      if (!this.#whole.has(hash, [NUMBER_OF[kind]])) {
        register.looked(bytes.length);
        const found = kindOf(bytes, hash);
        if (found === undefined) {
          this.#hold(hash, "damaged", mismatch(kind), affected);
          return undefined;
        }
        this.#whole.add(hash, [NUMBER_OF[found]]);
        if (found !== kind) {
          this.#hold(hash, "malformed", `a ${found}, and what names it takes it for a ${kind}`, affected);
          return undefined;
        }
      }
      return bytes;
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      this.#hold(hash, "unreadable", error.message, affected);
      return undefined;
    }
  }

  /** A row that nothing was seen to name. @returns true where it is such a one */
  checkUnreached(hash: Uint8Array): boolean {
    if (this.#reached.has(hash)) return false;
    const { rows, register } = this.#options;
    try {
      const bytes = rows.get("objects", hash);
      if (bytes === undefined) return false;
      register.looked(bytes.length);
      if (kindOf(bytes, hash) === undefined) this.#hold(hash, "damaged", mismatch("commit or manifest"));
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      this.#hold(hash, "unreadable", error.message);
    }
    return true;
  }

  #decoded<T>(
    hash: Uint8Array,
    kind: ObjectKind,
    decode: (bytes: Uint8Array) => Received<T>,
    affected: Affected,
  ): Received<T> | undefined {
    const bytes = this.require(hash, kind, affected);
    if (bytes === undefined) return undefined;
    try {
      return decode(bytes);
    } catch (error) {
      if (error instanceof Unsupported) return undefined;
      if (!(error instanceof Malformed)) throw error;
      this.#hold(hash, "malformed", `a ${kind} that breaks a rule: ${error.message}`, affected);
      return undefined;
    }
  }

  #hold(hash: Uint8Array, kind: FindingKind, message: string, affected?: Affected): void {
    const place = { space: "objects", key: hash } as const;
    const repair = kind === "malformed" ? "whoever wrote it wrote it so: write it anew" : REPAIR_FROM_COPY;
    this.#options.register.hold({ kind, subject: "object", place, message, repair }, affected);
  }
}

function kindOf(bytes: Uint8Array, hash: Uint8Array): ObjectKind | undefined {
  if (equalBytes(manifestHashOf(bytes), hash)) return "manifest";
  return equalBytes(commitHashOf(bytes), hash) ? "commit" : undefined;
}

function mismatch(kind: string): string {
  return `a ${kind}: the stored bytes do not match the hash`;
}
