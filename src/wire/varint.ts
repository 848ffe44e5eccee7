// Base-128 varints of protobuf, for the encoders by hand: values up to 2^53 − 1.

/** Bytes that a value takes, a safe integer ≥ 0. */
export function varintBytes(value: number): number {
  let length = 1;
  // Division, not shifts: offsets pass 32 bits.
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) length += 1;
  return length;
}

/** Writes a safe integer ≥ 0. @returns the offset after it */
export function writeVarint(target: Buffer, value: number, offset: number): number {
  let rest = value;
  let end = offset;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) target[end++] = (rest % 0x80) | 0x80;
  target[end++] = rest;
  return end;
}
