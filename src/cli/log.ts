import { type Level, type Logger, pino, stdSerializers } from "pino";
import { prettyFactory } from "pino-pretty";
import type { Log, LogEvent, LogFields } from "../ports/log.ts";

/** Where finished log lines go: each call is one line of JSON with its newline. */
export interface LogSink {
  write(line: string): void;
}

/** Bytes that may wait for a reader which does not read: beyond them lines are dropped, and memory stays bounded. */
const mostWaiting = 1 << 20;

/** Lines of JSON on stderr, for programs. A reader that stops reading, or goes away, never stops the process that logs. */
export function jsonSink(): LogSink {
  const { stderr } = process;
  stderr.on("error", () => {});
  return {
    write(line) {
      if (stderr.writableLength < mostWaiting) stderr.write(line);
    },
  };
}

/** Coloured lines on stderr, for people at a terminal. */
export function prettySink(): LogSink {
  const plain = jsonSink();
  const format = prettyFactory({
    colorize: true,
    translateTime: "SYS:HH:MM:ss.l",
    messageKey: "event",
    singleLine: true,
  });
  return { write: (line) => plain.write(format(line)) };
}

/** A log by pino: one JSON object a line, with a stable `event`, and `fields` in each line. */
export function createLog(sink: LogSink, fields: LogFields = {}): Log {
  const logger = pino(
    {
      level: "info",
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: (value: unknown) => (value instanceof Error ? stdSerializers.err(value) : value) },
    },
    sink,
  );
  return asLog(logger, fields);
}

function asLog(logger: Logger, base: LogFields): Log {
  const at = (level: Level) => (event: LogEvent, fields?: LogFields) => logger[level]({ event, ...base, ...fields });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
