// The content of a database as it was written, by the roots that it was given: decides whether a claim is true, without
// any tree or proof.
import assert from "node:assert/strict";
import type { ChunkProof, ManifestProof, RangeProof, StateProof } from "#gen/neleus/v1/proof_pb.js";
import type { ChunkClaim, Proof, ProofClaim, RangeClaim, StateClaim } from "#src/client/verify/index.js";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex } from "#src/core/bytes.js";

export class ContentModel {
  /** By state root, the keys and values in order, both as text. */
  readonly #states = new Map<string, readonly (readonly [string, string])[]>();
  readonly #documents = new Map<string, { readonly bytes: Uint8Array; readonly chunkBytes: number }>();
  readonly #ledgers = new Map<string, ReadonlySet<string>>();
  readonly #heads = new Map<string, string>();
  readonly #histories = new Map<string, readonly string[]>();

  addState(root: Uint8Array, content: Iterable<readonly [string, string]>): void {
    this.#states.set(toHex(root), [...content]);
  }

  addDocument(manifest: Uint8Array, document: { readonly bytes: Uint8Array; readonly chunkBytes: number }): void {
    this.#documents.set(toHex(manifest), document);
  }

  addLedger(root: Uint8Array, manifests: readonly Uint8Array[]): void {
    this.#ledgers.set(toHex(root), new Set(manifests.map(toHex)));
  }

  /** The commit that a head is at. Of other names there is none. */
  addHead(name: string, commit: Uint8Array): void {
    this.#heads.set(name, toHex(commit));
  }

  /** The commits of a head, newest first, each the only parent of the one before. */
  addHistory(name: string, commits: readonly Uint8Array[]): void {
    this.#histories.set(name, commits.map(toHex));
  }

  requireTrue(proof: Proof, claim: ProofClaim, label: string): void {
    switch (claim.kind) {
      case "chunk":
        this.#requireChunk(proof as ChunkProof, claim, label);
        return;
      case "manifest":
        assert.ok(this.#ledgers.get(toHex((proof as ManifestProof).ledgerRoot))?.has(toHex(claim.manifest)), label);
        return;
      case "ref":
        assert.equal(claim.commit && toHex(claim.commit.hash), this.#heads.get(claim.ref.name), label);
        assert.deepEqual([claim.ref.kind, claim.isPresent], ["head", this.#heads.has(claim.ref.name)], label);
        return;
      case "commit": {
        const history = this.#histories.get(claim.ref.name) ?? assert.fail(`${label}: no such history`);
        const { commit, newest, steps } = claim;
        assert.deepEqual(
          [claim.ref.kind, toHex(newest), toHex(commit.hash)],
          ["head", history[0], history[steps]],
          label,
        );
        return;
      }
      case "state":
      case "range":
        this.#requireKeys((proof as StateProof | RangeProof).root, claim, label);
    }
  }

  #requireKeys(root: Uint8Array, claim: StateClaim | RangeClaim, label: string): void {
    const state = this.#states.get(toHex(root)) ?? assert.fail(`${label}: no such state`);
    const isClaimed = (key: string): boolean => {
      const bytes = Buffer.from(key);
      if (claim.kind === "state") return bytes.equals(claim.key);
      return bytes.compare(claim.from) >= 0 && (claim.to === undefined || bytes.compare(claim.to) < 0);
    };
    const entries = claim.kind === "range" ? claim.entries : claim.entry === undefined ? [] : [claim.entry];
    assert.deepEqual(
      entries.map(({ key, hash, sizeBytes }) => [Buffer.from(key).toString(), toHex(hash), sizeBytes]),
      state
        .filter(([key]) => isClaimed(key))
        .map(([key, value]) => [key, toHex(hashBlob(Buffer.from(value))), Buffer.byteLength(value)]),
      label,
    );
    if (claim.kind === "range" || claim.value === undefined) return;
    assert.equal(Buffer.from(claim.value).toString(), state.find(([key]) => isClaimed(key))?.[1], label);
  }

  #requireChunk(proof: ChunkProof, claim: ChunkClaim, label: string): void {
    const manifest = toHex(claim.manifest);
    assert.ok(this.#ledgers.get(toHex(proof.ledgerRoot))?.has(manifest), label);
    const { bytes, chunkBytes } = this.#documents.get(manifest)!;
    const offset = claim.index * chunkBytes;
    const chunk = bytes.slice(offset, offset + chunkBytes);
    const { hash, sizeBytes } = claim;
    assert.deepEqual([claim.offset, sizeBytes, toHex(hash)], [offset, chunk.length, toHex(hashBlob(chunk))], label);
    if (claim.bytes !== undefined) assert.deepEqual(claim.bytes, chunk, label);
  }
}
