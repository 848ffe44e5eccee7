// The data model of FORMATS §2, as JavaScript sees it.

/**
 * Integers are numbers without a fraction within ±(2^53 − 1); every other finite number is a float64. Byte strings own
 * their bytes when decoded.
 */
export type Value = null | boolean | number | string | Uint8Array | Value[] | ValueMap;

/** A plain object; member order means nothing. */
export interface ValueMap {
  [name: string]: Value;
}

/**
 * Sets an own member whatever its name is: plain assignment to `__proto__` would change the prototype instead. Anything
 * that copies members out of received data goes through here.
 */
export function setMember<T>(target: Record<string, T>, name: string, value: T): void {
  if (name === "__proto__") {
    Object.defineProperty(target, name, { value, configurable: true, enumerable: true, writable: true });
  } else {
    target[name] = value;
  }
}

/** True for objects with members: neither lists, byte strings, nor instances of classes. */
export function isValueMap(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // The prototype of an object literal, of this realm or another, is an object without a prototype.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
