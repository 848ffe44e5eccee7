// One at a time of what takes LMDB's write lock in this process, whichever store it belongs to.
//
// A transaction runs on a thread of the binding, which takes the lock and then has this thread put the rows. Opening an environment
// takes the lock on this thread. Where one directory is opened twice in a process, the second opening would wait for the first one's
// transaction, and that for this thread: for ever.
const LAST = new Map<string, Promise<unknown>>();

/**
 * Runs something when nothing else of this process has, or waits for, the write lock of an environment. `place`: its directory,
 * without symbolic links.
 */
export async function inProcessTurn<T>(place: string, run: () => T | Promise<T>): Promise<T> {
  const before = LAST.get(place);
  const turn = before === undefined ? (async () => run())() : before.then(run, run);
  LAST.set(place, turn);
  try {
    return await turn;
  } finally {
    if (LAST.get(place) === turn) LAST.delete(place);
  }
}
