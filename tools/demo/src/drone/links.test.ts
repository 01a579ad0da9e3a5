import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { silentLog } from '@antirio/host';
import type { Link } from './flight.ts';
import { ackTag } from './frame.ts';
import { openLinks } from './links.ts';
import type { FlightPlan } from './plan.ts';

const KEY = new Uint8Array(32).fill(7);
const FLIGHT = '4e6a1f0c-7d63-4c1a-9a07-0d2f5f6f2b11';
const BASE = `/orchestrator/v1/foreign/${FLIGHT}/api/v3/drone`;

describe('the way to a service by HTTP', () => {
  let server: Server;
  let link: Link;
  let answer: { readonly status: number; readonly body: object } = { status: 200, body: {} };
  const asked: string[] = [];

  beforeAll(async () => {
    server = createServer((request, response) => {
      asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
      request.resume().on('end', () => {
        response.writeHead(answer.status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(answer.body));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const plan: FlightPlan = {
      ...{ drone: 'drone-1', flight: FLIGHT, key: '07'.repeat(32), seed: '1', serviceName: 'pre' },
      ...{ width: 32, height: 24, framesPerSecond: 20, speed: 10, routeLength: 90, stream: 'http' },
      ...{ bufferFrames: 200, underWay: 4, patienceMs: 0, takeOffAt: 0, logFile: '-' },
      legs: [
        { name: 'a', contractId: FLIGHT, reach: { from: 0, until: 90 }, url, mqttUrl: 'mqtt://127.0.0.1:1' },
      ],
    };
    const [opened] = openLinks(plan, silentLog, () => 0);
    if (opened === undefined) throw new TypeError('no link');
    link = opened;
  });
  afterAll(async () => {
    await link.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test('believes only an acknowledgement of this very frame by who has the key', async () => {
    const bytes = new Uint8Array(100);
    const tag = ackTag(KEY, 'drone-1', FLIGHT, 5);
    answer = { status: 200, body: { sequence: 5, tag, eventBytes: 9 } };
    await expect(link.send(5, bytes)).resolves.toMatchObject({ eventBytes: 9 });
    await expect(link.send(6, bytes)).rejects.toMatchObject({ code: 'unauthenticated' });
    answer = { status: 200, body: { sequence: 6, tag, eventBytes: 9 } };
    await expect(link.send(6, bytes)).rejects.toMatchObject({ code: 'unauthenticated' });
    const foreign = ackTag(new Uint8Array(32), 'drone-1', FLIGHT, 6);
    answer = { status: 200, body: { sequence: 6, tag: foreign, eventBytes: 9 } };
    await expect(link.send(6, bytes)).rejects.toMatchObject({ code: 'unauthenticated' });
    answer = { status: 503, body: {} };
    await expect(link.send(6, bytes)).rejects.toMatchObject({ code: 'unavailable' });
    expect(new Set(asked)).toEqual(new Set([`POST ${BASE}/frame`]));
  });

  test('serves while the service reads, and not where it cannot be asked', async () => {
    answer = { status: 200, body: { state: 'reading' } };
    expect(await link.serves()).toBe(true);
    answer = { status: 200, body: { state: 'shadow' } };
    expect(await link.serves()).toBe(false);
    answer = { status: 503, body: {} };
    expect(await link.serves()).toBe(false);
  });
});
