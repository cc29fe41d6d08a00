import { Type } from "typebox";
import { keyedWords } from "../shared/keyedSettings.ts";

/** The linux driver's words in a session. */
export const settingsSchema = Type.Object(keyedWords, { additionalProperties: false });
