import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Request, Response } from 'cosmjs-types/tendermint/abci/types';
import { removeStaleSocket, type Log } from '@antirio/host';
import { AntirioError, concatBytes, describeError } from '@antirio/kernel';
import type { LedgerApplication } from './application.ts';
import { FrameReader, toFrame } from './frames.ts';

/** Where the node finds its application. */
export type AbciAddress =
  | { readonly host: string; readonly port: number }
  /** A unix socket. */
  | { readonly path: string };

export interface AbciServer {
  /** 0 where it is a unix socket. */
  readonly port: number;
  close(): Promise<void>;
}

/** A node has four; one more that comes while an old one ends is no fault. */
const MAX_CONNECTIONS = 16;

const encode = (response: Response): Uint8Array => toFrame(Response.encode(response).finish());

/** What a node without vote extensions asks. */
const REQUESTS: readonly (keyof Request)[] = [
  'echo',
  'flush',
  'info',
  'initChain',
  'query',
  'checkTx',
  'prepareProposal',
  'processProposal',
  'finalizeBlock',
  'commit',
  'listSnapshots',
  'offerSnapshot',
  'loadSnapshotChunk',
  'applySnapshotChunk',
];

function decode(message: Uint8Array): Request {
  let request: Request;
  try {
    request = Request.decode(message);
  } catch (cause) {
    throw new AntirioError('invalidInput', 'no ABCI: a message that cannot be read', {}, cause);
  }
  // Nearly any bytes can be read as a message of fields that nobody knows, and none at all as an empty one.
  if (REQUESTS.every((kind) => request[kind] === undefined))
    throw new AntirioError('notImplemented', 'no ABCI request that this application answers');
  return request;
}

/** One connection: requests are answered in their order, each before the next of whichever connection is begun. */
function serve(socket: Socket, application: LedgerApplication, log: Log): void {
  const reader = new FrameReader();
  const answer = (piece: Uint8Array): void => {
    const answers = reader.push(piece).map((message) => encode(application.handle(decode(message))));
    if (answers.length === 0 || socket.write(concatBytes(...answers))) return;
    // Who does not read its answers is asked for no more.
    socket.pause();
    socket.once('drain', () => socket.resume());
  };
  socket.on('data', (piece: Uint8Array) => {
    try {
      answer(piece);
    } catch (error) {
      const said = describeError(error);
      log.warn(
        { error: said, from: socket.remoteAddress },
        'a connection that speaks no ABCI 0.38 is closed',
      );
      socket.end(encode({ exception: { error: said } }));
      socket.removeAllListeners('data').resume();
      socket.destroySoon();
    }
  });
  socket.on('error', () => socket.destroy());
}

function listen(server: Server, address: AbciAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/**
 * Serves the application on a socket to the CometBFT of this node alone: ABCI knows no login.
 * @throws AntirioError unavailable where the address cannot be listened on
 */
export async function serveAbci(
  application: LedgerApplication,
  address: AbciAddress,
  log: Log,
): Promise<AbciServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    serve(socket, application, log);
  });
  server.maxConnections = MAX_CONNECTIONS;
  if ('path' in address) await removeStaleSocket(address.path);
  try {
    await listen(server, address);
  } catch (cause) {
    throw new AntirioError('unavailable', `cannot listen for ABCI: ${describeError(cause)}`, {}, cause);
  }
  const port = 'path' in address ? 0 : (server.address() as AddressInfo).port;
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
