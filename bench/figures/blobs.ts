// A large blob up and down, hashed and verified at both ends, beside a bare grpc-js stream of the same messages with the
// same windows.
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { connect } from "#src/index.js";
import { DATA_MESSAGE_BYTES, HTTP2_WINDOW_BYTES } from "#src/core/limits.js";
import { contentOf } from "../content.js";
import { emptyDatabase } from "../databases.js";
import { downloadRequest, passBytes, writeAll } from "../echo-service.js";
import { inTurns, shown, type Bench, type Figure } from "../harness.js";
import { peakBytes, serveDatabase, serveEcho } from "../processes.js";

const MiB = 1_048_576;

export const blobs: Bench = {
  name: "blobs",
  about: "a large blob up and down, beside a bare grpc-js stream",
  figures: ["blob-up", "blob-down"],
  isInShortForm: true,
  async run(context) {
    const sizeBytes = (context.isShort ? 128 : 1024) * MiB;
    const ours = await serveDatabase(await emptyDatabase(context, "blobs"));
    const bare = await serveEcho();
    const db = await connect(ours.address, { onTrustOnFirstUse: () => undefined });
    const stream = new BareStream(bare.address, sizeBytes / DATA_MESSAGE_BYTES);
    const name = `${sizeBytes / MiB} MiB`;
    const inMegabytes = async (action: () => Promise<void>): Promise<number> => {
      const startedMs = performance.now();
      await action();
      return sizeBytes / 1e3 / (performance.now() - startedMs);
    };
    try {
      const hashes: Uint8Array[] = [];
      context.progress(`${name} up`);
      const up = await inTurns(
        context.rounds,
        () =>
          inMegabytes(async () => {
            hashes.push((await db.putBlob(contentOf(sizeBytes, hashes.length))).hash);
          }),
        () => inMegabytes(() => stream.upload()),
      );
      context.progress(`${name} down`);
      let round = 0;
      const down = await inTurns(
        context.rounds,
        () =>
          inMegabytes(async () => {
            const hash = hashes[round++ % hashes.length];
            if (hash === undefined) throw new Error("nothing was stored");
            let read = 0;
            for await (const piece of db.blob(hash).stream()) read += piece.length;
            if (read !== sizeBytes) throw new Error(`${read} bytes came back`);
          }),
        () => inMegabytes(() => stream.download()),
      );
      const figure = (direction: "up" | "down", both: typeof up): Figure => ({
        name: `blob-${direction}`,
        what: `${name} ${direction}, hashed and verified at both ends`,
        measured: shown(both.ours, "MB/s"),
        baseline: `${shown(both.baseline, "MB/s")}: bare grpc-js stream`,
        result: both.ratio,
        goal: { atLeast: 0.45, unit: "×" },
        details: {
          serverPeakMiB: Math.round(ours.peakBytes() / MiB),
          clientPeakMiB: Math.round(peakBytes("self") / MiB),
        },
      });
      return [figure("up", up), figure("down", down)];
    } finally {
      stream.close();
      await db.close();
      await ours.stop();
      await bare.stop();
    }
  },
};

class BareStream {
  readonly #client: Client;
  readonly #messages: number;

  constructor(address: string, messages: number) {
    this.#client = new Client(address, credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1,
      "grpc-node.flow_control_window": HTTP2_WINDOW_BYTES,
    });
    this.#messages = messages;
  }

  async download(): Promise<void> {
    const request = downloadRequest({ count: this.#messages, sizeBytes: DATA_MESSAGE_BYTES });
    const call = this.#client.makeServerStreamRequest(
      "/bench.Echo/Download",
      passBytes,
      passBytes,
      request,
      new Metadata(),
    );
    let messages = 0;
    for await (const message of call as AsyncIterable<Buffer>) messages += message.length > 0 ? 1 : 0;
    if (messages !== this.#messages) throw new Error(`${messages} messages came back`);
  }

  async upload(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const call = this.#client.makeClientStreamRequest(
        "/bench.Echo/Upload",
        passBytes,
        passBytes,
        new Metadata(),
        (error) => {
          if (error === null) resolve();
          else reject(error);
        },
      );
      writeAll(call, { count: this.#messages, sizeBytes: DATA_MESSAGE_BYTES }).catch(reject);
    });
  }

  close(): void {
    this.#client.close();
  }
}
