// One walk over one map: every node is there and right, holds what its parent says, and lies where the map's content puts it;
// every leaf is shown to whoever knows what its cells mean.
//
// Maps share most of their nodes with those before them. A subtree that was found whole once, in the same place of its
// parent's entries, is passed over: `whole` has its digest with all that its parent says of it, since a digest binds the
// node and not what is claimed of it. What makes it right wherever it lies is in core/map/shape.ts. Nothing below a fault
// is noted as whole, so that every root learns of it.
//
// Cost: the nodes that were not met before, and one path. Memory: a node a level, and the set.
import type { MapAt, MapNode } from "../../core/map/index.js";
import { MapShape } from "../../core/map/shape.js";
import type { Want } from "../../core/map/view.js";
import { childWant, faultAgainst, rootWant } from "../../core/map/want.js";
import type { DigestSet } from "../digest-set.js";
import type { CheckedNodes } from "./checked-nodes.js";
import type { Affected } from "./finding.js";
import type { FindingRegister } from "./register.js";

export interface MapWalkOptions {
  readonly map: MapAt;
  readonly nodes: CheckedNodes;
  readonly register: FindingRegister;
  /** Subtrees that were found whole; absent: each leaf is to be shown. */
  readonly whole?: DigestSet | undefined;
  /** Whose map it is. */
  readonly owner: Pick<Affected, "name" | "map">;
  /** Looks at a leaf. @returns false where something that it names is not there or not right */
  readonly onLeaf: LeafVisitor;
}

/** `isWhole`: nothing to its left is missing. */
export type LeafVisitor = (node: MapNode, walk: { readonly isWhole: boolean }) => boolean;

interface Frame {
  readonly node: MapNode;
  readonly want: Want;
  next: number;
  /** True where it begins where segments begin, at its level and all below. */
  readonly isClean: boolean;
  isFaulty: boolean;
}

export class MapWalk {
  readonly #options: MapWalkOptions;
  readonly #shape = new MapShape();
  readonly #path: Frame[] = [];
  #next: Want | undefined;
  /** True once something was missing or wrong: what lies beside it cannot be judged by where it lies. */
  #isBroken = false;
  #isWhole = true;

  constructor(options: MapWalkOptions) {
    this.#options = options;
    this.#next = rootWant(options.map);
  }

  /** True where nothing was wrong, so far. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Reads one node. @returns false when all is done */
  step(): boolean {
    const want = this.#next ?? this.#nextChild();
    this.#next = undefined;
    if (want === undefined) return false;
    this.#enter(want);
    return true;
  }

  #nextChild(): Want | undefined {
    for (let frame = this.#path.at(-1); frame !== undefined; frame = this.#path.at(-1)) {
      if (frame.node.level > 0 && frame.next < frame.node.count) return childWant(frame, frame.next++);
      this.#path.pop();
      this.#leave(frame);
    }
    return undefined;
  }

  #enter(want: Want): void {
    const { whole, nodes, owner } = this.#options;
    const isClean = want.level === undefined || this.#shape.isCleanTo(want.level);
    if (isClean && want.level !== undefined && whole?.has(want.digest, claims(want)) === true) return;
    const node = nodes.read(want.digest, { ...owner, above: want.above, last: want.last });
    if (node === undefined) {
      this.#break(want.level ?? 0);
      return;
    }
    const fault = faultAgainst(node, want);
    if (fault !== undefined) {
      const parent = this.#path.at(-1)?.want.digest ?? want.digest;
      this.#malformed(parent, parent === want.digest ? fault : `its child is not what it says of it: ${fault}`, want);
      this.#break(want.level ?? 0);
      return;
    }
    const frame = { node, want, next: 0, isClean, isFaulty: false };
    if (node.level === 0 && !this.#options.onLeaf(node, this)) {
      frame.isFaulty = true;
      this.#isWhole = false;
    }
    this.#path.push(frame);
  }

  /** Behind the last child of a node. */
  #leave(frame: Frame): void {
    const { node, want } = frame;
    const fault = this.#shape.take(node);
    if (fault !== undefined) this.#wrongShape(frame, fault);
    const parent = this.#path.at(-1);
    if (parent === undefined) {
      const last = this.#shape.finish();
      if (last !== undefined) this.#wrongShape(frame, last);
    } else if (frame.isFaulty) {
      parent.isFaulty = true;
    } else if (frame.isClean && this.#shape.isCleanTo(node.level)) {
      this.#options.whole?.add(want.digest, claims(want));
    }
  }

  #wrongShape(frame: Frame, fault: string): void {
    frame.isFaulty = true;
    if (this.#isBroken) return;
    this.#malformed(frame.want.digest, `the map is not the one of its content: ${fault}`, frame.want);
    this.#isBroken = true;
  }

  #malformed(digest: Uint8Array, message: string, { above, last }: Want): void {
    this.#isWhole = false;
    const { register, owner } = this.#options;
    const place = { space: "nodes", key: digest } as const;
    const repair = "whoever wrote it wrote it so: keep the database as evidence, and write the map anew";
    register.hold({ kind: "malformed", subject: "node", place, message, repair }, { ...owner, above, last });
  }

  #break(level: number): void {
    this.#isWhole = false;
    this.#isBroken = true;
    this.#shape.breakBelow(level);
    const parent = this.#path.at(-1);
    if (parent !== undefined) parent.isFaulty = true;
  }
}

/** What a parent says of a child, beside its digest. */
function claims({ level, total, above, last }: Want): readonly (number | Uint8Array | undefined)[] {
  return [level, total, above, last];
}
