// Goal and method: as hostile/answers.test.ts, at many more places of each message.
import { defineAnswerTrials } from "../hostile/support/answer-trials.js";

defineAnswerTrials({ items: 8, offsets: 6, flips: 3_000 });
