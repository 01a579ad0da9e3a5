// What the kernel says of processes and sockets (Linux).
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rounded } from './figure.ts';

const BYTES_PER_KB = 1024;
const BYTES_PER_MB = 1e6;

/** Memory of one process in MB (10^6 bytes): what it holds now, at most held, of that anonymous, of that from files. */
export interface Memory {
  readonly rss: number;
  readonly peak: number;
  readonly anonymous: number;
  readonly files: number;
}

/** Throws where the process is gone. */
export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (name: string): number => {
    const kilobytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
    return rounded((Number(kilobytes) * BYTES_PER_KB) / BYTES_PER_MB, 1);
  };
  return {
    rss: megabytes('VmRSS'),
    peak: megabytes('VmHWM'),
    anonymous: megabytes('RssAnon'),
    files: megabytes('RssFile'),
  };
}

/** Has the kernel forget the peak until now: `peak` then begins from what is held (proc(5), clear_refs). */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

const TICKS_PER_SECOND = 100;
/** utime and stime, counted from what follows the name in parentheses. */
const [UTIME, STIME] = [11, 12];

/** CPU time that a process has used so far, seconds. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[UTIME]) + Number(fields[STIME])) / TICKS_PER_SECOND;
}

/** Ids of the processes that a process started, and theirs. */
export function childrenOf(pid: number): number[] {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const own = tasks.flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return own.flatMap((child) => [child, ...childrenOf(child)]);
}

/** A UDP port's receive queue. */
export interface UdpQueue {
  /** Waiting, as the kernel counts: with its own overhead. */
  readonly queuedBytes: number;
  /** Thrown away because the queue was full, since the socket was opened. */
  readonly drops: number;
}

const QUEUES_FIELD = 4;

/** Undefined where nobody has the port. */
export function udpQueueOf(port: number): UdpQueue | undefined {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of readFileSync('/proc/net/udp', 'utf8').split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    if (fields[1]?.endsWith(suffix) !== true) continue;
    const queued = fields[QUEUES_FIELD]?.split(':')[1] ?? '';
    return { queuedBytes: Number.parseInt(queued, 16), drops: Number(fields.at(-1)) };
  }
  return undefined;
}
