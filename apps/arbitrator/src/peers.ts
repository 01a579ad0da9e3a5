import { callJson, type HttpCall, type HttpPeer } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';

/** @throws AntirioError badConfig when the host gave no such peer. */
export function peerNamed(peers: Readonly<Record<string, HttpPeer>>, name: string): HttpPeer {
  const peer = peers[name];
  if (peer === undefined) throw new AntirioError('badConfig', `the arbitrator needs the peer ${name}`);
  return peer;
}

/** JSON calls to a room of another edge, through edge2edge. */
export function neighbourCall(
  peers: Readonly<Record<string, HttpPeer>>,
  edgeId: string,
  service: string,
  call: HttpCall,
): Promise<unknown> {
  const path = `/edge2edge/peer/${edgeId}/${service}${call.path}`;
  return callJson(peerNamed(peers, 'edge2edge'), { ...call, path });
}
