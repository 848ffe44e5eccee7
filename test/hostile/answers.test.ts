// Goal: whatever one answer of a server is changed to, the client refuses it with a typed error or comes to the same
// result: never another result, never another exception.
// Method: support/answer-trials.ts, at some places of each message; slow/hostile-answers.test.ts tries many more.
import { defineAnswerTrials } from "./support/answer-trials.js";

defineAnswerTrials({ items: 3, offsets: 2, flips: 120 });
