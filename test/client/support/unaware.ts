// An engine that does not look at what its callers have seen: a server that lies, or does not know what it lost.
import type { Database } from "#src/database/index.js";

export function unaware(engine: Database): Database {
  const log = new Proxy(engine.log, {
    get: (target, name) => {
      if (name === "shown") return async () => undefined;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  return new Proxy(engine, {
    get: (target, name) => {
      if (name === "log") return log;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
