// Server reflection, v1 and v1alpha, so that `buf curl` and grpcurl work without the proto.
//
// The answers are those of @grpc/reflection, loaded when somebody asks for the first time. Its own handler writes them
// without looking whether anybody reads, so a peer that only asks would fill the memory; here answers wait for room
// before the next question is read.
import { EventEmitter } from "node:events";
import { toBinary, type DescFile } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { MethodDefinition, Server, ServerDuplexStream, UntypedHandleCall } from "@grpc/grpc-js";
import { assert, InvalidArgument } from "../core/errors.js";
import type { ServiceBinding } from "../service/implementation.js";
import { endRequests } from "./grpc-internals.js";
import { LAST_WORD_MS, type OpenCall } from "./open-calls.js";
import type { ReceivedMessage } from "./receive-budget.js";
import { RequestStream } from "./request-stream.js";
import { ResponseStream } from "./response-stream.js";
import { runCall, type CallEnvironment } from "./run-call.js";

const PATHS = [
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

type BytesCall = ServerDuplexStream<ReceivedMessage, Buffer>;
type AnyMethod = MethodDefinition<unknown, unknown>;

/** What @grpc/reflection registers for one version of the protocol. */
interface Registration {
  readonly definition: AnyMethod;
  readonly answer: (call: EventEmitter) => void;
}

/** Registers reflection over the given services with a server. */
export function addReflection(server: Server, bindings: readonly ServiceBinding[], environment: CallEnvironment): void {
  let loading: Promise<ReadonlyMap<string, Registration>> | undefined;
  for (const path of PATHS) {
    const handler = (call: BytesCall): void => {
      call.once("cancelled", () => endRequests(call, LAST_WORD_MS));
      const body = async (open: OpenCall): Promise<void> => {
        loading ??= load(bindings);
        const registration = (await loading).get(path);
        assert(registration !== undefined, `@grpc/reflection has no ${path}`);
        await answerAll({ call, open, registration, environment });
        open.signal.throwIfAborted();
        call.end();
      };
      void runCall(environment, { call, path, body, fail: (status) => call.emit("error", status) });
    };
    server.addService({ [path]: definitionOf(path) }, { [path]: handler as UntypedHandleCall });
  }
}

function definitionOf(path: string): MethodDefinition<Buffer, Buffer> {
  const passBytes = (bytes: Buffer): Buffer => bytes;
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: passBytes,
    requestDeserialize: passBytes,
    responseSerialize: passBytes,
    responseDeserialize: passBytes,
  };
}

/** Lets @grpc/reflection build its services, and takes them from it in a server's stead. By path. */
async function load(bindings: readonly ServiceBinding[]): Promise<ReadonlyMap<string, Registration>> {
  const { ReflectionService } = await import("@grpc/reflection");
  const taken = new Map<string, Registration>();
  const taker = {
    addService: (definitions: Record<string, AnyMethod>, handlers: Record<string, Registration["answer"]>): void => {
      for (const [name, definition] of Object.entries(definitions)) {
        const answer = handlers[name];
        assert(answer !== undefined, `reflection has no handler for ${name}`);
        taken.set(definition.path, { definition, answer });
      }
    },
  };
  const services = bindings.map((binding) => binding.descriptor.typeName);
  const root = packageDefinition(bindings) as unknown as ConstructorParameters<typeof ReflectionService>[0];
  new ReflectionService(root, { services }).addToServer(taker);
  return taken;
}

/**
 * What the library takes for proto-loader's result: it reads only the serialized descriptors. One for each file, with
 * every file it depends on: a file set loaded through proto-loader itself loses dependencies.
 */
function packageDefinition(bindings: readonly ServiceBinding[]): { files: { fileDescriptorProtos: Buffer[] } } {
  const files = new Map<string, DescFile>();
  const visit = (file: DescFile): void => {
    if (files.has(file.name)) return;
    files.set(file.name, file);
    for (const dependency of file.dependencies) visit(dependency);
  };
  for (const binding of bindings) visit(binding.descriptor.file);
  const serialize = (file: DescFile): Buffer => Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto));
  return { files: { fileDescriptorProtos: [...files.values()].map(serialize) } };
}

async function answerAll(parts: {
  readonly call: BytesCall;
  readonly open: OpenCall;
  readonly registration: Registration;
  readonly environment: CallEnvironment;
}): Promise<void> {
  const { call, open, registration } = parts;
  const { limits, requests, sendBudget } = parts.environment;
  const { slowPeerTimeoutMs } = limits;
  requests.received(call);
  const decode = (bytes: Buffer): unknown => decodeQuestion(registration.definition, bytes);
  // A question is a few bytes, and each is answered: any is progress.
  const questions = new RequestStream({ call, open, decode, limits: { slowPeerTimeoutMs, minProgressBytes: 1 } });
  const responses = new ResponseStream({ call, open, budget: sendBudget, limits });
  // The library sees a call that hands it questions and takes its answers, both within one turn.
  const answers: unknown[] = [];
  const facade = Object.assign(new EventEmitter(), {
    write: (answer: unknown) => answers.push(answer),
    end: () => true,
  });
  registration.answer(facade);
  for await (const question of questions) {
    facade.emit("data", question);
    for (const answer of answers.splice(0)) await responses.send(registration.definition.responseSerialize(answer));
  }
}

function decodeQuestion(definition: AnyMethod, bytes: Buffer): unknown {
  try {
    return definition.requestDeserialize(bytes);
  } catch (cause) {
    throw new InvalidArgument("malformed ServerReflectionRequest", {}, { cause });
  }
}
