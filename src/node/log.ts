import { type Level, type Logger, pino, stdSerializers } from "pino";
import { prettyFactory } from "pino-pretty";
import type { Log, LogEvent, LogFields } from "../ports/log.ts";

/** Where finished log lines go: each call is one line of JSON with its newline. */
export interface LogSink {
  write(line: string): void;
}

/** A stream that takes text, such as `process.stderr`. */
interface TextStream {
  readonly writableLength: number;
  write(text: string): boolean;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** Bytes that may wait for a reader which does not read: beyond them lines are dropped, and memory stays bounded. */
const mostWaiting = 1 << 20;

/** Lines of JSON, for programs. A reader that stops reading, or goes away, never stops the process that logs. */
export function jsonSink(stream: TextStream = process.stderr): LogSink {
  stream.on("error", () => {});
  return {
    write(line) {
      if (stream.writableLength < mostWaiting) stream.write(line);
    },
  };
}

/** Coloured lines for people at a terminal. */
export function prettySink(stream: TextStream = process.stderr): LogSink {
  const plain = jsonSink(stream);
  const format = prettyFactory({
    colorize: true,
    translateTime: "SYS:HH:MM:ss.l",
    messageKey: "event",
    singleLine: true,
  });
  return { write: (line) => plain.write(format(line)) };
}

/** A log by pino: one JSON object a line, with a stable `event`, and `fields` in each line. */
export function createLog(sink: LogSink, fields: LogFields = {}, level: Level = "info"): Log {
  const logger = pino(
    {
      level,
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
