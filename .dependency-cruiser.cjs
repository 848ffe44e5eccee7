// The layers: imports point down only. `npm run layers` fails on an upward edge; CI runs it.
//
//   cli → server → service → (search) → database → store → core
//     \→ client/embedded → service …          client/remote → gen, core
const layer = (name, from, allowed) => ({
  name,
  severity: "error",
  from: { path: from },
  to: { path: "^(src|gen)/", pathNot: allowed },
});

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    layer("core-imports-core-only", "^src/core/", "^src/core/"),
    {
      name: "core-is-pure",
      comment: "core runs in a browser: no node: modules, and no packages but these pure ones",
      severity: "error",
      from: { path: "^src/core/" },
      to: { path: ".*", pathNot: "^src/core/|node_modules/(@noble/(hashes|curves)|@ipld/dag-cbor|cborg)/" },
    },
    layer("store-on-core", "^src/store/", "^src/(core|store)/"),
    layer("database-on-store", "^src/database/", "^src/(core|store|database)/"),
    layer("service-on-database", "^src/service/", "^(src/(core|database|service)|gen)/"),
    layer("wire-stands-alone", "^src/wire/", "^src/wire/"),
    layer("server-on-service", "^src/server/", "^(src/(core|store|database|service|server|wire)|gen)/"),
    layer("client-remote-is-light", "^src/client/(?!embedded)", "^(src/(core|client|wire)|gen)/"),
    {
      name: "only-embedded-imports-the-engine",
      severity: "error",
      from: { path: "^src/client/(?!embedded)" },
      to: { path: "^src/(database|store|service|server)/|^src/client/embedded|node_modules/lmdb/" },
    },
    layer("embedded-client", "^src/client/embedded", "^(src/(core|store|database|service|client)|gen)/"),
    {
      name: "nothing-imports-the-cli",
      severity: "error",
      from: { pathNot: "^src/cli/" },
      to: { path: "^src/cli/" },
    },
    {
      name: "grpc-js-stays-in-adapters",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(server/|client/grpc-)" },
      to: { path: "node_modules/@grpc/" },
    },
    {
      name: "lmdb-stays-in-its-driver",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/store/lmdb/" },
      to: { path: "node_modules/lmdb/" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "src/core/hash/kernel/assembly" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "require", "node", "default"] },
  },
};
