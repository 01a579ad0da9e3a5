import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  addToken,
  openTokens,
  parseScope,
  readTokenFile,
  readTokens,
  revokeToken,
  silentLog,
} from './index.ts';
import { grants, needsOf, needText } from './scopes.ts';

let dir: string;
let path: string;
let now = 1_000_000;
let monotonic = 0;
const clock = { now: () => now, monotonic: () => monotonic };

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'antirio-tokens-'));
  path = join(dir, 'access', 'tokens.json');
});
afterEach(() => rmSync(dir, { recursive: true }));

const make = (scopes: string[], expiresAt?: number): string =>
  addToken(path, { name: 'test', scopes, expiresAt }, now).token;

describe('tokens', () => {
  test('are kept as hashes in a file of their owner', () => {
    const token = make(['core-data:read']);
    const text = readFileSync(path, 'utf8');
    expect(text).not.toContain(token.slice(-43));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(openTokens(path, clock, silentLog).scopesOf(token)).toEqual([parseScope('core-data:read')]);
  });

  test('of others, with a letter changed, or with the id of one alone are none', () => {
    const token = make(['*:read']);
    const tokens = openTokens(path, clock, silentLog);
    const swapped = token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A');
    for (const wrong of [
      '',
      'antirio_',
      swapped,
      token.slice(0, -1),
      `${token}A`,
      readTokens(path)[0]?.id ?? '',
    ])
      expect([wrong, tokens.scopesOf(wrong)]).toEqual([wrong, undefined]);
  });

  test('expire, and count no more a second after they are revoked', () => {
    const short = make(['operator'], now + 1000);
    const long = make(['operator']);
    const tokens = openTokens(path, clock, silentLog);
    expect(tokens.scopesOf(short)).toBeDefined();
    now += 1000;
    expect(tokens.scopesOf(short)).toBeUndefined();
    revokeToken(path, readTokens(path).find(({ expiresAt }) => expiresAt === undefined)?.id ?? '');
    monotonic += 1001;
    expect(tokens.scopesOf(long)).toBeUndefined();
    const later = make(['*:read']);
    monotonic += 1001;
    expect(tokens.scopesOf(later)).toBeDefined();
    expect(() => revokeToken(path, 'no such id')).toThrow('there is no token');
  });

  test('a file that is damaged later leaves those that were read; one that is damaged at the start stops it', () => {
    const token = make(['*:read']);
    const tokens = openTokens(path, clock, silentLog);
    writeFileSync(path, '{"tokens": [{}]}');
    monotonic += 1001;
    expect(tokens.scopesOf(token)).toBeDefined();
    expect(() => openTokens(path, clock, silentLog)).toThrow('holds no tokens');
    expect(() => make(['*:read'])).toThrow('holds no tokens');
  });

  test('a file for those who call holds one token', () => {
    const file = join(dir, 'mine');
    expect(() => readTokenFile(file)).toThrow('is not there');
    writeFileSync(file, 'secret');
    expect(() => readTokenFile(file)).toThrow('holds no token');
    const token = make(['*:read']);
    writeFileSync(file, `${token}\n`);
    expect(readTokenFile(file)).toBe(token);
  });
});

describe('scopes', () => {
  test.each([
    '',
    'core-data',
    'core-data:',
    ':read',
    'core-data:admin',
    '*:*',
    'Operator',
    'a b:read',
    '../x:read',
  ])('%j is none', (text) => expect(() => parseScope(text)).toThrow('is no scope'));

  test('a token does for a service only what one of its scopes says', () => {
    const service = fc.constantFrom('core-data', 'core-metadata', 'arbitrator', 'ops');
    const access = fc.constantFrom('read' as const, 'write' as const);
    const scope = fc.oneof(
      fc.constantFrom('operator', 'relay'),
      fc.tuple(fc.oneof(service, fc.constant('*')), access).map(([of, may]) => `${of}:${may}`),
    );
    const need = fc.record({ service, access: fc.oneof(access, fc.constant('operator' as const)) });
    fc.assert(
      fc.property(fc.array(scope, { maxLength: 4 }), need, (scopes, wanted) => {
        const enough =
          wanted.access === 'operator'
            ? ['operator']
            : [
                'operator',
                ...['*', wanted.service].flatMap((of) => [
                  `${of}:write`,
                  ...(wanted.access === 'read' ? [`${of}:read`] : []),
                ]),
              ];
        expect(grants(scopes.map(parseScope), wanted)).toBe(scopes.some((one) => enough.includes(one)));
      }),
      { seed: 8, numRuns: 500 },
    );
  });

  test('reading is GET and HEAD; what forces and what stores secrets is an operator’s, however it is written', () => {
    const of = (method: string, url: string): string => needsOf('s', method, url)[0]?.access ?? '';
    expect(
      ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'].map((method) => of(method, '/api/v3/event')),
    ).toEqual([...['read', 'read'], ...['write', 'write', 'write', 'write']]);
    for (const url of [
      '/arbitrator/v1/operator/c/takeover',
      '/ARBITRATOR/v1/Operator/c/takeover',
      '/arbitrator/v1/%6fperator/c/takeover?x=1',
      'http://host/arbitrator/v1/operator/c/return',
      '/api/v3/secret',
      '/api/v3/secret/',
      '/api/v3/%zz',
    ])
      expect([url, of('POST', url)]).toEqual([url, 'operator']);
    expect(of('POST', '/api/v3/secrets-of-others')).toBe('write');
  });

  test('through the door of edge2edge also what the room behind it would ask for', () => {
    const behind = (method: string, path: string): string[] =>
      needsOf('edge2edge', method, path).map(needText);
    const door = '/edge2edge/peer/some-edge';
    expect(behind('GET', '/api/v3/peer/some-edge')).toEqual(['edge2edge:read']);
    expect(behind('GET', `${door}/core-data/api/v3/event/all?limit=1`)).toEqual([
      'edge2edge:read',
      'core-data:read',
    ]);
    expect(behind('POST', `${door}/core-data/api/v3/event/x`)).toEqual([
      'edge2edge:write',
      'core-data:write',
    ]);
    for (const path of [
      `${door}/arbitrator/arbitrator/v1/volume`,
      `${door}/arbitrator/arbitrator/v1/%6Fperator/c/takeover`,
      `${door}/core-data/api/v3/secret`,
      `${door}/edge2edge${door}/core-data/api/v3/event/all`,
      `${door}/core-data`,
      `/Edge2Edge/peer/some-edge/core-data/api/v3/event/all`,
      `http://host${door}/core-data/api/v3/event/all`,
    ])
      expect([path, behind('GET', path)[1]]).toEqual([path, 'operator']);
  });
});
