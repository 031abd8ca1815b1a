import { connect } from "node:net";
import { OwnedProcess } from "./owned-process.ts";
import { host } from "./ports.ts";
import type { Reaper } from "./reaper.ts";

const startDeadlineMs = 15_000;
const answerDeadlineMs = 500;

/** Starts a Valkey that keeps nothing on disk. Resolves when it answers. */
export async function startValkey(path: string, port: number, folder: string, reaper: Reaper): Promise<OwnedProcess> {
  const listening = ["--bind", host, "--port", String(port), "--protected-mode", "yes"];
  const unsaved = ["--dir", folder, "--save", "", "--appendonly", "no"];
  const valkey = await OwnedProcess.start({
    name: "valkey",
    command: path,
    args: [...listening, ...unsaved, "--daemonize", "no", "--loglevel", "warning"],
    reaper,
  });
  try {
    await valkey.ready(() => answers(port, valkey.pid), startDeadlineMs);
  } catch (error) {
    valkey.kill();
    throw error;
  }
  return valkey;
}

/** Whether the process answers on the port: itself, not another server that was there before. */
function answers(port: number, pid: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    let text = "";
    const done = (ready: boolean) => {
      socket.destroy();
      resolve(ready);
    };
    socket.setTimeout(answerDeadlineMs, () => done(false));
    socket.on("error", () => done(false));
    socket.on("close", () => done(false));
    socket.on("connect", () => socket.write("INFO server\r\n"));
    socket.on("data", (chunk) => {
      text = (text + chunk.toString()).slice(-65_536);
      if (/process_id:\d+\r\n/.test(text)) done(text.includes(`process_id:${pid}\r\n`));
    });
  });
}
