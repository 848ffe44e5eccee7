// What opening a database did for processes that had not closed it, in words and in fields.
import type { Recovery } from "../database/index.js";

/** One line, for the person who runs a command. */
export function recoveryNotice(recovery: Recovery): string {
  const { unclosed, stagedDropped, uploadsKept, pagesChecked } = recovery;
  const who = unclosed === 1 ? "a process" : `${unclosed} processes`;
  return (
    `neleus: ${who} had ended without closing the database; it was recovered: ${pagesChecked} pages checked, ` +
    `${stagedDropped} staged files dropped, ${uploadsKept} uploads kept`
  );
}

/** The same, for JSON and logs. */
export function recoveryFields(recovery: Recovery): Record<string, number> {
  return {
    unclosed: recovery.unclosed,
    staged_dropped: recovery.stagedDropped,
    uploads_kept: recovery.uploadsKept,
    pages_checked: recovery.pagesChecked,
  };
}
