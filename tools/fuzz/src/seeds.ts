import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import type { CoreServices } from '@antirio/core-services';

/** What is there to be found, so that requests get further than to the first 404. */
export const KNOWN = {
  name: 'known',
  deviceName: 'known',
  profileName: 'known',
  resourceName: 'known',
  commandName: 'known',
  command: 'known',
  serviceName: 'known',
  serviceId: 'known',
  sourceName: 'known',
  key: 'known',
  manufacturer: 'known',
  model: 'known',
} as const;

const apiVersion = 'v3';

function eventOf(source: string): Record<string, unknown> {
  const origin = Date.now() * 1_000_000;
  const of = { deviceName: KNOWN.name, profileName: KNOWN.name, origin };
  const reading = { ...of, id: randomUUID(), resourceName: KNOWN.name, valueType: 'Int32', value: '7' };
  return { apiVersion, id: randomUUID(), ...of, sourceName: source, readings: [reading] };
}

/** A device service that has every command. */
function answerCommand(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  request.on('end', () => {
    const source = decodeURIComponent(
      new URL(request.url ?? '/', 'http://a').pathname.split('/').at(-1) ?? '',
    );
    const event = request.method === 'GET' ? { event: eventOf(source) } : {};
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ apiVersion, statusCode: 200, ...event }));
  });
}

function entities(baseAddress: string): [string, unknown][] {
  const name = KNOWN.name;
  const open = { adminState: 'UNLOCKED', properties: {} };
  const property = { valueType: 'Int32', readWrite: 'RW' };
  const operation = { deviceResource: name };
  const profile = {
    name,
    manufacturer: name,
    model: name,
    labels: [name],
    deviceResources: [{ name, properties: property }],
    deviceCommands: [{ name: 'all', readWrite: 'RW', resourceOperations: [operation] }],
  };
  const device = {
    ...{ name, ...open, operatingState: 'UP', serviceName: name, profileName: name, labels: [name] },
    protocols: { other: { address: '1' } },
  };
  const watcher = {
    ...{ name, adminState: 'UNLOCKED', serviceName: name, labels: [name], identifiers: { address: '1' } },
    discoveredDevice: { profileName: name, ...open },
  };
  return [
    ['deviceservice', [{ apiVersion, service: { name, baseAddress, labels: [name], ...open } }]],
    ['deviceprofile', [{ apiVersion, profile }]],
    ['device?bypassValidation=true', [{ apiVersion, device }]],
    ['provisionwatcher', [{ apiVersion, provisionwatcher: watcher }]],
  ];
}

export interface Seeds {
  /** Puts there what is not, or no more. */
  sow(): Promise<void>;
  end(): void;
}

const TIMEOUT_MS = 10_000;

/** A device service with one device, one of each entity, events, a key and a registration, all named `known`. */
export async function createSeeds(core: CoreServices): Promise<Seeds> {
  const server: Server = createServer(answerCommand);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const send = async (method: string, url: string, body: unknown): Promise<void> => {
    const headers = { 'content-type': 'application/json' };
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const answer = await fetch(url, { method, headers, body: JSON.stringify(body), signal });
    if (answer.status >= 500) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`);
    await answer.body?.cancel();
  };
  return {
    async sow() {
      for (const [path, body] of entities(`http://127.0.0.1:${port}`))
        await send('POST', `${core.urlOf('core-metadata')}/api/v3/${path}`, body);
      const name = KNOWN.name;
      const event = { apiVersion, event: eventOf(name) };
      await send('POST', `${core.urlOf('core-data')}/api/v3/event/${name}/${name}/${name}/${name}`, event);
      await send('PUT', `${core.urlOf('core-keeper')}/api/v3/kvs/key/${name}`, { apiVersion, value: '7' });
      const healthCheck = { interval: '1h', path: '/api/v3/ping', type: 'http' };
      const registration = { serviceId: name, host: '127.0.0.1', port, healthCheck };
      await send('POST', `${core.urlOf('core-keeper')}/api/v3/registry`, { apiVersion, registration });
    },
    end() {
      server.close();
      server.closeAllConnections();
    },
  };
}
