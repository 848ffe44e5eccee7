// A self-signed certificate for localhost, made anew for each test: no key lies in the repository.
import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto";

const SEQUENCE = 0x30;
const SET = 0x31;
const OID = 0x06;

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const lengthBytes = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...lengthBytes]), content]);
}

const bytes = (...values: number[]): Buffer => Buffer.from(values);
const ECDSA_WITH_SHA256 = der(SEQUENCE, der(OID, bytes(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)));
const COMMON_NAME = bytes(0x55, 0x04, 0x03);
const SUBJECT_ALT_NAME = bytes(0x55, 0x1d, 0x11);
const BASIC_CONSTRAINTS = bytes(0x55, 0x1d, 0x13);

function pem(label: string, content: Uint8Array): string {
  const lines =
    Buffer.from(content)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

/** PEM texts of a key and of its own certificate for `localhost`, valid from 2020 to 2049. */
export function makeCertificate(): { key: string; certificate: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "der" },
  });
  const name = der(SEQUENCE, der(SET, der(SEQUENCE, der(OID, COMMON_NAME), der(0x0c, Buffer.from("localhost")))));
  const utcTime = (text: string): Buffer => der(0x17, Buffer.from(text));
  const extension = (id: Buffer, value: Buffer): Buffer => der(SEQUENCE, der(OID, id), der(0x04, value));
  const body = der(
    SEQUENCE,
    der(0xa0, der(0x02, bytes(2))),
    der(0x02, bytes(1)),
    ECDSA_WITH_SHA256,
    name,
    der(SEQUENCE, utcTime("200101000000Z"), utcTime("491231235959Z")),
    name,
    publicKey,
    der(
      0xa3,
      der(
        SEQUENCE,
        extension(SUBJECT_ALT_NAME, der(SEQUENCE, der(0x82, Buffer.from("localhost")))),
        extension(BASIC_CONSTRAINTS, der(SEQUENCE, der(0x01, bytes(0xff)))),
      ),
    ),
  );
  const signature = sign("sha256", body, createPrivateKey({ key: privateKey, format: "der", type: "pkcs8" }));
  const certificate = der(SEQUENCE, body, ECDSA_WITH_SHA256, der(0x03, bytes(0), signature));
  return { key: pem("PRIVATE KEY", privateKey), certificate: pem("CERTIFICATE", certificate) };
}
