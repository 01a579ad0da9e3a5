import path from 'node:path';
import { portOf } from '@antirio/demo';
import { makeIdentityFile, readIdentityFile } from '@antirio/host';
import { signDocument } from '@antirio/kernel';
import { ask, get } from './ask.ts';
import { sayTo } from './bad-datagrams.ts';
import type { Cluster } from './cluster.ts';
import { askPeer, signedHeaders, type PeerRequest } from './peer-request.ts';

const NOBODYS = '00000000-0000-4000-8000-000000000000';
const WANTED = '11111111-1111-4111-8111-111111111111';

type Statuses = Readonly<Record<string, number>>;

/** What becomes of requests at edge A's port for other edges that should not be served, as HTTP statuses. */
export async function refusedRequests({ run, folder, folderOf }: Cluster): Promise<Statuses> {
  const { a, central } = run.nodes;
  const url = a.url('edge2edgePublic');
  const from = readIdentityFile(path.join(folderOf('b'), 'identity.json'));
  const stranger = makeIdentityFile(path.join(folder, 'another-stranger.json'));
  const ring: PeerRequest = {
    ...{ from, to: a.edgeId },
    method: 'GET',
    path: '/gateway-bridge/api/v3/ring/own/offers',
  };
  const foreign = { ...ring, path: `/arbitrator/arbitrator/v1/contract/${NOBODYS}` };
  const status = async (request: PeerRequest): Promise<number> => (await askPeer(url, request)).status;
  const inAnothersName = (sound: Record<string, string>): Record<string, string> => ({
    ...sound,
    'x-antirio-edge': central.edgeId,
  });
  const ping = { ...ring, path: '/edge2edge/api/v3/ping' };
  const headers = await signedHeaders(url, ping);
  await sayTo(portOf('edge2edgePublic', a.offset), Buffer.from('GET / HTTP/9.9\r\n\0\r\n\r\n'));
  return {
    unsigned: (await ask(`${url}${ring.path}`)).status,
    'wrong signature': await status({ ...ring, spoil: inAnothersName }),
    'for another edge': await status({ ...ring, to: central.edgeId }),
    'of a stranger': await status({ ...foreign, from: stranger }),
    'foreign contract': await status(foreign),
    'foreign ring': await status(ring),
    'not open': await status({ ...ring, path: '/core-data/api/v3/event/all' }),
    'too large': await status({
      ...{ ...foreign, path: `${foreign.path}/keys` },
      method: 'POST',
      json: 'x'.repeat(2 << 20),
    }),
    'for the first time': (await ask(`${url}${ping.path}`, { headers })).status,
    'recorded and sent again': (await ask(`${url}${ping.path}`, { headers })).status,
  };
}

/** What becomes of terms that edge B wants edge A to sign as its provider. */
export async function refusedTerms({ run, folderOf }: Cluster, contractId: string): Promise<Statuses> {
  const { a, b } = run.nodes;
  const from = readIdentityFile(path.join(folderOf('b'), 'identity.json'));
  const contract = (await get(`${b.url('arbitrator')}/arbitrator/v1/contract/${contractId}`)) as {
    terms: object;
  };
  const turned = { ...contract.terms, contractId: WANTED, customer: b.edgeId, provider: a.edgeId };
  const sign = async (
    terms: object,
    signature = signDocument(from, 'antirio/contract-terms/1', terms).signature,
  ): Promise<number> => {
    const { status } = await askPeer(a.url('edge2edgePublic'), {
      ...{ from, to: a.edgeId, method: 'POST', json: { terms, signature } },
      path: `/arbitrator/arbitrator/v1/contract/${WANTED}/sign`,
    });
    return status;
  };
  return {
    expired: await sign({ ...turned, expiresAt: 1 }),
    'wrongly signed': await sign(turned, Buffer.alloc(64).toString('base64')),
    'never agreed': await sign(turned),
    'with an unknown field': await sign({ ...turned, unknown: 1 }),
  };
}
