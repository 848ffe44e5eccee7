// Cutting documents into chunks: what a server does with one that comes in, and a client to check it.
export { FixedChunker, chunkCountOf, chunkerPieces, requireChunkWork, requireChunking } from "./fixed-chunker.js";
export type { ChunkingSettings, CutChunk } from "./fixed-chunker.js";
