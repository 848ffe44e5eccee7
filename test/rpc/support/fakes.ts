// Services over our own descriptors whose handlers a test writes: what it leaves out answers UNIMPLEMENTED.
import type { DescService } from "@bufbuild/protobuf";
import { BlobService } from "#gen/neleus/v1/blob_pb.js";
import { StateService } from "#gen/neleus/v1/state_pb.js";
import { Unsupported } from "#src/core/errors.js";
import { bindService, type ServiceBinding, type ServiceImplementation } from "#src/service/implementation.js";

export type BlobHandlers = Partial<ServiceImplementation<typeof BlobService>>;
export type StateHandlers = Partial<ServiceImplementation<typeof StateService>>;

export function fakeServices(handlers: { blob?: BlobHandlers; state?: StateHandlers }): ServiceBinding[] {
  return [fake(BlobService, handlers.blob ?? {}), fake(StateService, handlers.state ?? {})];
}

function fake<S extends DescService>(descriptor: S, handlers: Partial<ServiceImplementation<S>>): ServiceBinding {
  const missing = descriptor.methods.map((method) => {
    const refuse = (): never => {
      throw new Unsupported(`${method.name} is not part of this test`);
    };
    return [method.localName, refuse] as const;
  });
  return bindService(descriptor, { ...Object.fromEntries(missing), ...handlers } as ServiceImplementation<S>);
}
