import { readFile } from 'node:fs/promises';

/** Datagrams that the kernel threw away because a port's receive buffer was full; undefined where it does not tell. */
export async function kernelDrops(port: number): Promise<number | undefined> {
  let total: number | undefined;
  for (const path of ['/proc/net/udp', '/proc/net/udp6']) {
    const text = await readFile(path, 'utf8').catch(() => '');
    for (const line of text.split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      const localPort = Number.parseInt(fields[1]?.split(':')[1] ?? '', 16);
      if (localPort === port) total = (total ?? 0) + Number(fields.at(-1) ?? 0);
    }
  }
  return total;
}
