import { describe, expect, test } from '@jest/globals';
import { findOpenRoute, OPEN_ROUTES, peerKey } from './open-routes.ts';

const find = (method: string, service: string, path: string, role: 'edge' | 'central' = 'edge') =>
  findOpenRoute(role, method, service, path);

describe('the table of what other edges may ask', () => {
  test('finds the id of contract or match', () => {
    expect(find('GET', 'gateway-bridge', 'api/v3/ring/c-1/offers')).toMatchObject({
      id: 'c-1',
      route: { audience: 'party' },
    });
    expect(find('POST', 'dmu', 'dmu/v1/trial/abc')).toMatchObject({ id: 'abc' });
    expect(find('GET', 'filecoin-interface', 'ipfs/bafy/a/b')).toMatchObject({
      route: { audience: 'known' },
    });
  });

  test('lets a customer ask what became of its image, and nobody see all contracts', () => {
    const path = 'orchestrator/service_provider/contract';
    expect(find('GET', 'orchestrator', `${path}/c-1`)).toMatchObject({ route: { audience: 'known' } });
    expect(find('GET', 'orchestrator', path)).toBeUndefined();
    expect(find('GET', 'orchestrator', 'orchestrator/v1/service/c-1')).toBeUndefined();
  });

  test('never lets a ring without a contract or match through', () => {
    for (const { service, path, audience } of OPEN_ROUTES.filter((route) => route.path.includes(':id')))
      expect([service, path, audience]).toEqual([service, path, 'party']);
  });

  test('opens the ledger and the central arbitrator at the centre alone, and contracts at edges alone', () => {
    expect(find('POST', 'ledger', 'ledger/v1/tx')).toBeUndefined();
    expect(find('POST', 'ledger', 'ledger/v1/tx', 'central')).toBeDefined();
    expect(find('POST', 'arbitrator', 'arbitrator/v1/central/take')).toBeUndefined();
    expect(find('POST', 'arbitrator', 'arbitrator/v1/central/take', 'central')).toBeDefined();
    expect(find('POST', 'arbitrator', 'arbitrator/v1/contract/c/keys', 'central')).toBeUndefined();
  });

  test.each([
    '',
    'api/v3/ring/c/offers/',
    'api/v3/ring//offers',
    'api/v3/ring/../ring/c/offers',
    'api/v3/ring/./offers',
    'api/v3/ring/%2e%2e/offers',
    'api/v3/ring/.%2E/offers',
    'api/v3/ring/c%2foffers',
    'api/v3/ring/c%5coffers',
    'api/v3/ring/c%00/offers',
    'api/v3/ring/c /offers',
    'api/v3/ring/%zz/offers',
    'API/v3/ring/c/offers',
    `api/v3/ring/${'c'.repeat(200)}/offers`,
  ])('knows no path such as %j', (path) => {
    expect(find('GET', 'gateway-bridge', path)).toBeUndefined();
  });

  test('knows a room by its name in camel case', () => {
    expect(['gateway-bridge', 'dmu', 'filecoin-interface'].map(peerKey)).toEqual([
      'gatewayBridge',
      'dmu',
      'filecoinInterface',
    ]);
  });
});
