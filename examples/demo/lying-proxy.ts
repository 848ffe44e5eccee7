// A proxy between client and server that passes everything on but for one lie. It forges nothing cryptographic: it is what
// a compromised server, or anybody on the way, could do.
import type {
  DescMessage,
  DescMethod,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
} from "@bufbuild/protobuf";
import { grpcTransport } from "#src/client/grpc-transport.js";
import type { Transport } from "#src/client/transport.js";
import { bindService, type CallContext, type Handler, type ServiceBinding } from "#src/service/implementation.js";
import { startServer, type RunningServer } from "#src/server/index.js";
import { AdminService } from "#gen/neleus/v1/admin_pb.js";
import { BlobService } from "#gen/neleus/v1/blob_pb.js";
import { CommitService } from "#gen/neleus/v1/commit_pb.js";
import { ManifestService, type ManifestServiceListChunksResponse } from "#gen/neleus/v1/manifest_pb.js";
import { ProofService, type NodeReveal } from "#gen/neleus/v1/proof_pb.js";
import { StateService, type StateServiceGetResponse, type StateServiceScanResponse } from "#gen/neleus/v1/state_pb.js";

/** What a proxy does to the answers of one rpc. */
interface Lie {
  readonly description: string;
  /** Full name of the rpc, `StateService.Get`. */
  readonly rpc: string;
  /** The answer that is passed on in place of the true one. */
  readonly change: (answer: unknown) => unknown;
}

function flipBit(answer: unknown): unknown {
  const { value } = answer as StateServiceGetResponse;
  if (value !== undefined && value.length > 0) value[value.length >> 1] = (value[value.length >> 1] ?? 0) ^ 1;
  return answer;
}

/** Drops the middle entry of the first leaf node shown, and mends the counts to match. */
function dropEntry(): (answer: unknown) => unknown {
  let dropped = false;
  return (answer) => {
    const leaf = (answer as StateServiceScanResponse).nodes.find((node) => node.level === 0 && node.entries.length > 2);
    if (dropped || leaf === undefined) return answer;
    dropped = true;
    const middle = leaf.entries.length >> 1;
    leaf.entries.splice(middle, 1);
    leaf.indices = leaf.indices.slice(0, -1);
    leaf.count -= 1;
    leaf.total -= 1n;
    return answer;
  };
}

/** Gives one chunk's cell the key of another and the other way round: the order of the document changes. */
function swapChunks(answer: unknown): unknown {
  const leaf = (answer as ManifestServiceListChunksResponse).nodes.find(
    (node) => node.level === 0 && node.entries.length > 1,
  );
  if (leaf !== undefined) swapFirstTwo(leaf);
  return answer;
}

function swapFirstTwo(leaf: NodeReveal): void {
  const [first, second] = leaf.entries;
  if (first === undefined || second === undefined) return;
  leaf.entries[0] = second;
  leaf.entries[1] = first;
}

/** Remembers the first snapshot and serves it for ever. */
function replayFirst(): (answer: unknown) => unknown {
  let first: unknown;
  return (answer) => (first ??= answer);
}

export type LieName = "flip" | "drop" | "swap" | "replay";

export function lies(): Record<LieName, Lie> {
  return {
    flip: { description: "flips one bit of a value", rpc: "StateService.Get", change: flipBit },
    drop: { description: "drops an entry of a scan", rpc: "StateService.Scan", change: dropEntry() },
    swap: { description: "swaps two chunks of a document", rpc: "ManifestService.ListChunks", change: swapChunks },
    replay: {
      description: "serves an older checkpoint than the client has seen",
      rpc: "ProofService.GetSnapshot",
      change: replayFirst(),
    },
  };
}

const SERVICES = [AdminService, BlobService, CommitService, ManifestService, ProofService, StateService];

/** Starts a proxy to `upstream` that tells one lie. */
export async function startLyingProxy(upstream: string, lie: Lie): Promise<RunningServer> {
  const transport = grpcTransport({ address: upstream });
  const services: ServiceBinding[] = SERVICES.map((descriptor) => {
    const handlers = Object.fromEntries(
      descriptor.methods.map((method) => [method.localName, forward(transport, method, lie)]),
    ) as Record<string, Handler<DescMethod>>;
    return { ...bindService(descriptor as never, handlers as never), descriptor };
  });
  return startServer({ services, listen: "127.0.0.1:0" });
}

/** A handler that passes one rpc on. */
function forward(transport: Transport, method: DescMethod, lie: Lie): unknown {
  const rpc = asCallable(method);
  const change = `${method.parent.name}.${method.name}` === lie.rpc ? lie.change : (answer: unknown) => answer;
  type Init = MessageInitShape<DescMessage>;
  switch (rpc.methodKind) {
    case "unary":
      return async (request: Init, context: CallContext) =>
        change(await transport.unary(rpc, request, { signal: context.signal }));
    case "server_streaming":
      return async function* (request: Init, context: CallContext) {
        for await (const answer of transport.serverStream(rpc, request, { signal: context.signal }))
          yield change(answer);
      };
    case "client_streaming":
      return async (requests: AsyncIterable<Init>, context: CallContext) =>
        change(await transport.clientStream(rpc, requests, { signal: context.signal }));
  }
}

type Callable = DescMethodUnary | DescMethodServerStreaming | DescMethodClientStreaming;

/** The method with its kind told apart: none of ours is bidirectional. */
function asCallable(method: DescMethod): Callable {
  if (method.methodKind === "bidi_streaming") throw new Error(`no rpc of ours is bidirectional: ${method.name}`);
  return method as Callable;
}
