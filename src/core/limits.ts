// Every limit in one place: the number, its unit, why it is this, and what a caller gets who passes it.
//
// `AdminService.GetCapabilities` reports those that a client needs; docs/API.md has the same table. Zero never means
// "no limit".

const KiB = 1024;
const MiB = 1024 * KiB;

// ---- Fixed by the formats (docs/FORMATS.md): changing one changes what is valid for ever. MALFORMED. ----

/** Longest key of a map, in bytes (FORMATS §3). A request with a longer one: INVALID_ARGUMENT. */
export const MAX_KEY_BYTES = 1024;
/** Longest encoded cell, in bytes (FORMATS §3). */
export const MAX_CELL_BYTES = 256;
/** Longest encoded entry of a map node, in bytes (FORMATS §4). */
export const MAX_ENTRY_BYTES = 1400;
/** Most entries in one map node (FORMATS §3). */
export const MAX_NODE_ENTRIES = 64;
/** Most bytes of (last) keys in one map node that has 17 entries or more (FORMATS §3). */
export const MAX_NODE_KEY_BYTES = 16_384;
/** Highest level of a map node that a verifier accepts (FORMATS §4). */
export const MAX_LEVEL = 40;
/** Lists and maps open at once in an object (FORMATS §2). */
export const MAX_OBJECT_DEPTH = 32;
/** Largest encoded object (commit, manifest), in bytes (FORMATS §2). */
export const MAX_OBJECT_BYTES = 1_048_576;
/** Bytes of hashed input in one authenticated group of a blob (FORMATS §5). */
export const BLOB_GROUP_BYTES = 16 * KiB;
/** Most parents of a commit (FORMATS §6). */
export const MAX_PARENTS = 16;
/** Most signatures of one object (FORMATS §6). */
export const MAX_SIGNATURES = 16;
/** Longest agent name, in bytes of UTF-8 (FORMATS §6). */
export const MAX_AGENT_BYTES = 256;
/** Longest head or tag name, in characters, all ASCII (FORMATS §7). */
export const MAX_NAME_CHARACTERS = 128;
/** Largest leaf of the log, in bytes: an entry bundle of `tlog-tiles` gives its length 16 bits. */
export const MAX_LOG_LEAF_BYTES = 65_535;

// ---- Of this implementation: they may grow. LIMIT_EXCEEDED unless stated. ----

/** Largest signed note that is read, in bytes: 16 ML-DSA-44 cosignatures take 53 KiB. MALFORMED. */
export const MAX_NOTE_BYTES = 64 * KiB;
/** Most signatures in a signed note that is read; its specification wants 16 at least. MALFORMED. */
export const MAX_NOTE_SIGNATURES = 100;

/** Largest value that travels inside Apply, Get, Scan and Batch*, in bytes. Larger ones go by Upload and Download. INVALID_ARGUMENT. */
export const MAX_INLINE_VALUE_BYTES = 256 * KiB;
/** Blob bytes in one message of a data stream. Fewer cost throughput, more gain little (docs/PERFORMANCE.md). */
export const DATA_MESSAGE_BYTES = 256 * KiB;
/** Most content bytes in one data message that a client sends. INVALID_ARGUMENT. */
export const MAX_UPLOAD_DATA_BYTES = MiB;
/** Largest gRPC message sent or received, in bytes. */
export const MAX_MESSAGE_BYTES = 4 * MiB;
/** Largest message that a stream of ours sends, in bytes, framing aside: one oversize item may stand alone. */
export const STREAM_MESSAGE_BYTES = 64 * KiB;
/** Most operations in one Apply, and most keys in one BatchGet of state. */
export const MAX_BATCH_KEYS = 10_000;
/**
 * Largest witness of what an Apply read that is kept for its answer, in bytes of nodes: some 700 operations spread over a
 * million keys. A larger one is left out, and its caller compares the two states instead.
 */
export const MAX_TRANSITION_BYTES = MiB;
/**
 * Loads in progress in one database. Each holds four times LOAD_RUN_BYTES while entries come (keys and values, unsorted and
 * sorted), and LOAD_READ_BYTES for each of the two and some batches of LOAD_BATCH_BYTES while they are written: some 20 MiB.
 */
export const MAX_LOADS = 8;
/** Entries of a load, in bytes, that are sorted in memory at a time. */
export const LOAD_RUN_BYTES = 4 * MiB;
/** Bytes that are read ahead, of all sorted runs of a load together, where they are not very many. */
export const LOAD_READ_BYTES = 4 * MiB;
/**
 * Rows of a load, in bytes, that are written in one batch. What waits for a batch outlives two collections of young garbage,
 * and weighs several times as much as its bytes where rows are small.
 */
export const LOAD_BATCH_BYTES = MiB;
/**
 * Keys in a row of a load at which no node may end, which must be held to be cut. Of keys that were not made so, one in
 * sixteen ends a node.
 */
export const MAX_OPEN_SEGMENT_ENTRIES = 50_000;
/** Most inline value bytes in one Apply. */
export const MAX_BATCH_BYTES = 3 * MiB;
/** Most blobs in one BatchPut, BatchGet or FindMissing. */
export const MAX_BATCH_BLOBS = 10_000;
/** Most ranges in one Download. */
export const MAX_DOWNLOAD_RANGES = 1_024;
/** Blobs smaller than this, in bytes, lie in the transactional store; larger ones are files. */
export const LARGE_BLOB_BYTES = 64 * KiB;
/** Most commits between the newest of a head and one that is proved to be in its history, that one included. */
export const MAX_PATH_COMMITS = 1_000;
/** ... and their bytes: with the rest of its proof they fit in a message. */
export const MAX_PATH_BYTES = MiB;
/** Commits that are read to find the way from one commit to another: where histories were merged, most lie beside it. */
export const MAX_PATH_SEARCH_COMMITS = 10_000;
/** ... and their bytes. */
export const MAX_PATH_SEARCH_BYTES = 64 * MiB;
/** Largest blob, in bytes: the largest size whose every offset is a safe integer in every client language we test. */
export const MAX_BLOB_BYTES = 2 ** 44;
/** Entries of a scan page when the request names none, and the most that it may name. */
export const DEFAULT_PAGE_ENTRIES = 1_000;
/** Heads of one database: all of them travel in one proof. */
export const MAX_HEADS = 4_096;
/** Tags of one database. They are listed in a stream, so this only bounds the refs. */
export const MAX_TAGS = 65_536;
/** Most keys that may move one head. */
export const MAX_KEYS_OF_HEAD = 64;
/** Most keys that may move heads, of all heads of a database together: those below a name travel in one proof. */
export const MAX_HEAD_KEYS = 4_096;
/** Where there are more names than this, a wrong one is told without a guess at what was meant. */
export const MAX_NAMES_COMPARED = 4_096;
/** How long a read waits for a log that is shorter than the caller has seen it. Then ROLLED_BACK. */
export const LOG_WAIT_MS = 5_000;
/**
 * Longest host of a log's origin, in characters: two keys of the log with it fit in a cell (FORMATS §7), up to epoch 9,999. One more
 * and no key could be announced. INVALID_ARGUMENT.
 */
export const MAX_ORIGIN_HOST_CHARACTERS = 33;
/** Longest commit message, source, title or author, in bytes of UTF-8. INVALID_ARGUMENT. */
export const MAX_TEXT_BYTES = 64 * KiB;
/** Longest `meta` of a commit or manifest, in bytes of UTF-8, names included: leaves room in an object. INVALID_ARGUMENT. */
export const MAX_META_BYTES = 256 * KiB;
/** Longest database name, in characters. INVALID_ARGUMENT. */
export const MAX_DATABASE_NAME_CHARACTERS = 64;
/** Chunk sizes that PutDocument takes, in bytes, both ends included. INVALID_ARGUMENT. */
export const MIN_CHUNK_BYTES = 1;
export const MAX_CHUNK_BYTES = 16 * MiB;
/** Most chunks of one document: bounds the work that a chunk size of one byte could ask for. */
export const MAX_CHUNKS = 10_000_000;
/** How many chunks a byte of a document may be part of, on average: bounds what an overlap close to the size costs. */
export const MAX_CHUNK_REPEATS = 64;
/** Uploads in progress in one database. */
export const MAX_UPLOADS = 1_024;
/** Longest idempotency key of a write, in characters, all ASCII. INVALID_ARGUMENT. */
export const MAX_IDEMPOTENCY_KEY_CHARACTERS = 128;
/** The outcome of a write that had an idempotency key is kept for this long: until then it may be asked for again. */
export const REQUEST_EXPIRY_MS = 24 * 60 * 60 * 1000;
/** An upload that nobody has touched for this long is dropped. */
export const UPLOAD_EXPIRY_MS = 24 * 60 * 60 * 1000;
/**
 * Readers who ask for a fresher leaf than the newest have one appended, but only once the newest is this old: those who ask
 * sooner wait that long, and share it. So readers add at most a leaf a second to a log that is never pruned.
 */
export const FRESH_LEAF_INTERVAL_MS = 1_000;
/**
 * Epochs of a log that a client follows at once, from the one that it trusts to the one that is there. A server can begin them as
 * fast as it is asked for them: the client stops with LimitExceeded. One a week makes these in 80 years.
 */
export const MAX_EPOCHS_FOLLOWED = 4_096;
/** Bytes of error details in a response: 60 kB have been seen to arrive, 90 kB hang a client. */
export const MAX_ERROR_DETAILS_BYTES = 4 * KiB;
/** Concurrent streams on one HTTP/2 connection. */
export const MAX_CONCURRENT_STREAMS = 256;
/** HTTP/2 receive window of a stream and of a connection: costs up to this much buffer a connection. */
export const HTTP2_WINDOW_BYTES = 4 * MiB;
/**
 * A stream whose peer takes nothing for this long, or too little, is ended with UNAVAILABLE; one whose peer sends nothing, or
 * too little, with DEADLINE_EXCEEDED, and so is a request of one message that does not come to its end.
 */
export const SLOW_PEER_TIMEOUT_MS = 60_000;
/**
 * Bytes of a request that arrive, and of an answer that are taken, at least in each SLOW_PEER_TIMEOUT_MS of waiting for them:
 * about 1 KiB a second.
 */
export const MIN_PROGRESS_BYTES = 64 * KiB;
/** Witnesses whose cosignatures of one log are kept. RESOURCE_EXHAUSTED. */
export const MAX_WITNESSES = 16;
/** Bytes of one answer that wait for the peer to take them; then the handler is asked for no more. */
export const SEND_BUFFER_BYTES = MiB;
/**
 * Bytes that all streams of a server together keep for their peers: messages that wait, and what is read ahead. A stream takes
 * an eighth of what is left at most, and 12 KiB in any case.
 */
export const SEND_BUDGET_BYTES = 24 * MiB;
/** Bytes of one request stream that wait for the handler to take them; then the peer is asked for no more. */
export const RECEIVE_BUFFER_BYTES = MiB;
/**
 * What large reads of one server may hold in memory at once, in bytes, as estimated beforehand: a BatchGet of state counts
 * with BATCH_KEY_WORK_BYTES a key. Calls beyond it wait their turn, then get LIMIT_EXCEEDED.
 */
export const WORK_BUDGET_BYTES = 256 * MiB;
/**
 * What a key of a BatchGet of state may hold until its answer ends, in bytes: the nodes on its path. 3.0 to 4.6 KiB measured
 * with 10,000 keys spread over 300,000.
 */
export const BATCH_KEY_WORK_BYTES = 5 * KiB;
/** How long a call waits for room in that budget. */
export const WORK_WAIT_MS = 5_000;
/** How many calls wait for it at once; one more gets LIMIT_EXCEEDED at once. */
export const MAX_WAITING_CALLS = 256;
/** Connections to one server at once; further ones are closed as they come. */
export const MAX_CONNECTIONS = 1_024;
/** A connection that has been silent for this long is asked for a sign of life. */
export const KEEPALIVE_TIME_MS = 60_000;
/** A connection that owes a sign of life for this long is closed. */
export const KEEPALIVE_TIMEOUT_MS = 20_000;
/** A connection without a call for this long is closed; clients connect again by themselves. */
export const CONNECTION_IDLE_MS = 30 * 60 * 1000;
/** How long a shutting-down server waits for calls in progress. */
export const SHUTDOWN_GRACE_MS = 10_000;
/**
 * Parsed map nodes that a database keeps in memory, in bytes: nearly all of the upper levels of a map of a million keys, and
 * the leaves that were read last. A scan passes through it, so it is part of what a scan of any length may take.
 */
export const NODE_CACHE_BYTES = 32 * MiB;

// ---- Freeing replaced nodes of staged maps (docs/decisions/0003): how soon, and how much is kept track of. ----

/** A node that a write replaced stays for this long at least: who just learned of its root begins to read in that time. */
export const FREE_AFTER_MS = 1_000;
/** ... and until so many leaves were logged after it, while no more than FREE_BACKLOG_BYTES wait; */
export const FREE_AFTER_LEAVES = 256;
/** ... bytes of replaced nodes that wait, beyond which only FREE_AFTER_MS counts; */
export const FREE_BACKLOG_BYTES = 8 * MiB;
/** ... or, however few were logged, for this long. */
export const FREE_AT_LATEST_MS = 60_000;
/**
 * Nodes that a batch frees at once, when so many are due, and at most beside twice those that it writes. One by one they
 * would cost more pages; what a large batch replaced goes bit by bit, so that no small one waits for it.
 */
export const FREE_NODES_PER_BATCH = 64;
/** Nodes that a batch frees when nobody writes. */
export const FREE_NODES_WHEN_IDLE = 1_024;
/** Nodes whose use is followed, in memory, about 130 bytes each. What is beyond is left to garbage collection. */
export const MAX_FOLLOWED_NODES = 200_000;
/**
 * Nodes that were replaced in the very batch that made them wait in memory, in bytes; what is beyond is stored and waits there.
 * So long as nodes wait for a second, this is what several thousand writes a second on one head leave in between.
 */
export const MAX_UNSTORED_BYTES = 16 * MiB;
/** A read is kept whole for this long, in milliseconds. A slower one goes on while its nodes are there, then gets PRUNED. */
export const MAX_LEASE_MS = 10 * 60 * 1000;
/** A lease that other processes see is good for this long after it was last renewed. */
export const SHARED_LEASE_MS = 30_000;
