import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import type { Broker } from '@antirio/bus';
import { callJson, httpPeer } from '@antirio/host';
import { ONE, TWO, GATEWAY, folder, onEnd, putRing, startBroker, uplink, type Listed } from './test-edge.ts';
import { createTestGateway, rxpkOf } from './test-gateway.ts';

describe('SIGKILL', () => {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));

  const startChild = async (
    broker: Broker,
  ): Promise<{ child: ChildProcess; httpPort: number; udpPort: number }> => {
    const config = join(folder, 'config.json');
    const udp = { port: 0, gateways: 'any' };
    const rings = { segmentBytes: 4096, burst: 10_000 };
    writeFileSync(
      config,
      JSON.stringify({
        port: 0,
        dataDir: join(folder, 'child'),
        udp,
        rings,
        broker: `mqtt://127.0.0.1:${String(broker.ports[0])}`,
      }),
    );
    const child = spawn(process.execPath, [main, config], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    onEnd(() => child.kill('SIGKILL'));
    for await (const line of createInterface({ input: child.stderr })) {
      if (!line.startsWith('{')) continue;
      const { httpPort, udpPort, msg } = JSON.parse(line) as {
        httpPort: number;
        udpPort: number;
        msg: string;
      };
      if (msg === 'listening') return { child, httpPort, udpPort };
    }
    throw new Error('the bridge did not start');
  };

  test('every frame that was acknowledged is in the ring after the next start', async () => {
    const broker = await startBroker();
    const acknowledged = new Set<string>();
    let fcnt = 0;
    for (let round = 0; round < 4; round++) {
      const { child, httpPort, udpPort } = await startChild(broker);
      const http = httpPeer({ url: `http://127.0.0.1:${httpPort}` });
      await putRing({ http }, 'own', { budgetBytes: 64 << 20 });
      const held = new Map<string, number>();
      for (let after = 0; ;) {
        const page = (await callJson(http, {
          path: `/api/v3/ring/own/frames?after=${after}&limit=500`,
        })) as Listed;
        for (const { phyPayload } of page.frames) held.set(phyPayload, (held.get(phyPayload) ?? 0) + 1);
        const last = page.frames.at(-1);
        if (last === undefined) break;
        after = last.seq;
      }
      for (const phyPayload of acknowledged) expect(held.get(phyPayload)).toBe(1);
      const gateway = await createTestGateway(GATEWAY, udpPort);
      const killAt = 30 + round * 37;
      const pushes: Promise<void>[] = [];
      for (let i = 0; i < 200; i++) {
        const batch = [ONE, TWO].map((devAddr) => uplink(devAddr, (fcnt = (fcnt + 1) & 0xffff)));
        pushes.push(
          gateway
            .push(
              batch.map((bytes) => rxpkOf(bytes, i)),
              400,
            )
            .then((is) => {
              if (is) for (const bytes of batch) acknowledged.add(Buffer.from(bytes).toString('base64'));
            }),
        );
        if (i === killAt) {
          await pushes[killAt - 20];
          child.kill('SIGKILL');
        }
      }
      await Promise.all(pushes);
      await gateway.close();
      http.close();
    }
    expect(acknowledged.size).toBeGreaterThan(50);
  });
});
