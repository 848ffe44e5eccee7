// Text of messages, as the formats want it (FORMATS §2): strict UTF-8, with a leading U+FEFF kept. The protobuf runtime's own
// decoder drops that character and replaces what is no UTF-8, so that a source or message would be recorded as other text than
// was sent. All our messages are proto3, whose strings must be UTF-8: what is not is refused.
//
// The runtime has one setting for the whole process; every side that decodes messages imports this module for its effect.
import { configureTextEncoding } from "@bufbuild/protobuf/wire";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

configureTextEncoding({
  encodeUtf8: (text) => {
    if (!text.isWellFormed()) throw new TypeError("text holds a lone surrogate, which has no UTF-8");
    return encoder.encode(text);
  },
  decodeUtf8: (bytes) => decoder.decode(bytes),
  checkUtf8: (text) => text.isWellFormed(),
});
