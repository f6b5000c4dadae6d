/** The options that every command of both programs takes. */
import { choiceOption, switchOption } from "./option.ts";

export const commonOptions = {
  json: switchOption({ name: "json", help: "prints JSON, one object a line" }),
  logLevel: choiceOption(
    { name: "log-level", help: "how much is logged to standard error", default: "info" },
    ["error", "warn", "info", "debug"],
  ),
  logFormat: choiceOption({ name: "log-format", help: "the form of the log", default: "text" }, ["text", "json"]),
};
