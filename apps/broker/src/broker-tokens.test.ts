import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createMqttBus } from '@antirio/bus';
import {
  addToken,
  clientTls,
  openTokens,
  revokeToken,
  serverTls,
  silentLog,
  systemClock,
  systemRandom,
  waitFor,
  type Bus,
  type RimAccess,
} from '@antirio/host';
import { selfSigned } from '@antirio/testing';
import { brokerOptions, createBroker, type BrokerRoom } from './index.ts';

let dataDir: string;
let broker: BrokerRoom;
let file: string;
let [writer, reader, other] = ['', '', ''];
const buses: Bus[] = [];

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-'));
  file = join(dataDir, 'tokens.json');
  [writer, reader, other] = [
    tokenWith('broker:write'),
    tokenWith('broker:read'),
    tokenWith('core-data:write'),
  ];
  const [certFile, keyFile] = [join(dataDir, 'cert.pem'), join(dataDir, 'key.pem')];
  const { cert, key } = selfSigned(['localhost', '127.0.0.1']);
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key);
  const access: RimAccess = {
    tls: serverTls({ certFile, keyFile }, systemClock, silentLog),
    clientCertificates: false,
    tokens: openTokens(file, systemClock, silentLog),
    requireTokens: true,
    isOwnHost: () => false,
    credentialsFor: () => undefined,
    placeOf: (url) => ({ url, credentials: undefined }),
  };
  const options = brokerOptions.parse({ port: 0, httpPort: 0, dataDir });
  broker = createBroker(options, { clock: systemClock, random: systemRandom, log: silentLog, access });
  await broker.start();
});
afterEach(async () => {
  await Promise.all(buses.splice(0).map((bus) => bus.close()));
  await broker.stop();
  rmSync(dataDir, { recursive: true });
});

function busWith(token: string | undefined, scheme = 'mqtts'): Bus {
  const tls = clientTls({ caFile: join(dataDir, 'cert.pem') }, systemClock, silentLog);
  const shown = token === undefined ? {} : { token: () => token };
  const address = { url: `${scheme}://127.0.0.1:${broker.port}`, tls, ...shown };
  const bus = createMqttBus(address, silentLog, { publishTimeoutMs: 700, subscribeTimeoutMs: 700 });
  buses.push(bus);
  return bus;
}

const tokenWith = (...scopes: string[]): string =>
  addToken(file, { name: '', scopes }, systemClock.now()).token;

test('a client of another host has TLS and a token, and does with it what its scope says', async () => {
  const heard: string[] = [];
  await busWith(reader).subscribe('a/#', (topic) => void heard.push(topic));
  await busWith(writer).publish('a/1', 'x', { qos: 1 });
  await waitFor(systemClock, 3000, () => heard.length || undefined);

  await expect(busWith(reader).publish('a/2', 'x', { qos: 1 })).rejects.toMatchObject({
    code: expect.stringMatching(/unavailable|timeout/),
  });
  const refused = [busWith(other), busWith(undefined), busWith('antirio_x'), busWith(writer, 'mqtt')];
  await Promise.all(
    refused.map((bus) =>
      expect(bus.publish('a/3', 'x', { qos: 1 })).rejects.toMatchObject({
        code: expect.stringMatching(/unavailable|timeout/),
      }),
    ),
  );
  expect(heard).toEqual(['a/1']);
});

test('a token that is revoked ends what its connection may do', async () => {
  const bus = busWith(writer);
  await bus.publish('a', 'x', { qos: 1 });
  revokeToken(file, writer.split('_')[1] ?? '');
  await waitFor(systemClock, 5000, () =>
    bus.publish('a', 'x', { qos: 1 }).then(
      () => undefined,
      () => true,
    ),
  );
});
