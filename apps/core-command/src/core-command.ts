import { AntirioError, describeError } from '@antirio/kernel';
import { createEdgexService, type EdgexService } from '@antirio/edgex-service';
import {
  announcedUrl,
  createHttpRim,
  type Check,
  type Health,
  type HttpRim,
  type Service,
} from '@antirio/host';
import { parseJsonBytes } from '@antirio/edgex-contracts';
import { createBusCommands, type BusCommands } from './bus-commands.ts';
import { createExternalCommands, type ExternalCommands } from './external-commands.ts';
import { createCommands, type Commands } from './commands.ts';
import { createMetadata } from './metadata.ts';
import { rememberingMetadata, type RememberingMetadata } from './remembering.ts';
import type { CoreCommandOptions } from './options.ts';
import type { CoreCommandPorts, Room } from './room.ts';
import { addRoutes } from './routes.ts';

export type { CoreCommandPorts } from './room.ts';

export interface CoreCommand extends Service {
  /** The port it listens on, once started. */
  readonly port: number;
}

interface Running {
  readonly rim: HttpRim;
  readonly edgex: EdgexService;
  readonly metadata: RememberingMetadata;
  readonly commands: Commands;
  readonly fromBus: BusCommands | undefined;
  readonly fromOutside: ExternalCommands | undefined;
}

const VERSION = '4.0.0';

/** EdgeX core-command: tells what devices can be asked, and passes commands on to their services. */
export function createCoreCommand(options: CoreCommandOptions, ports: CoreCommandPorts): CoreCommand {
  const { bus, clock, log } = ports;
  const peer = ports.peers['core-metadata'];
  if (options.externalMqtt.enabled && bus === undefined)
    throw new AntirioError(
      'badConfig',
      'commands of an external broker go on by the message bus: there is none',
    );
  if (peer === undefined) throw new AntirioError('badConfig', 'core-command needs the peer core-metadata');
  const asked = createMetadata(peer);
  let running: Running | undefined;
  let port = 0;

  const metadataCheck = async (): Promise<Check> => {
    try {
      await asked.ping();
      return { ok: true };
    } catch (error) {
      return { ok: false, detail: describeError(error) };
    }
  };
  const health = async (): Promise<Health> => {
    const checks = { 'core-metadata': await metadataCheck() };
    const outside = running?.fromOutside;
    return {
      ...checks,
      ...(bus !== undefined && { bus: bus.health() }),
      ...(outside !== undefined && { 'external broker': outside.health() }),
    };
  };
  return {
    name: 'core-command',
    get port() {
      return port;
    },
    health,
    async start() {
      const edgex = createEdgexService({ serviceKey: 'core-command', options, ports, endsInTime: true });
      const { maxRemembered: max, rememberMs: forMs } = options;
      const metadata = rememberingMetadata(asked, { max, forMs }, ports);
      const commands = createCommands(options, metadata, ports.access);
      const url = (): string => options.publicUrl ?? announcedUrl(ports.access, options.bind, port);
      const room: Room = { options, ports, metadata, commands, url };
      const rim = createHttpRim({
        access: ports.access,
        serviceKey: 'core-command',
        version: VERSION,
        config: () => edgex.config(),
        health,
        log,
        maxBodyBytes: options.maxBodyBytes,
        parseBody: (bytes) => (bytes.length === 0 ? undefined : parseJsonBytes(bytes)),
        clock,
        before: edgex.before,
      });
      edgex.addRoutes(rim);
      addRoutes(rim, room);
      await edgex.follow();
      const fromBus = bus === undefined ? undefined : await createBusCommands(room, bus);
      const fromOutside =
        options.externalMqtt.enabled && fromBus !== undefined
          ? createExternalCommands(room, fromBus.requests, edgex.secrets)
          : undefined;
      running = { rim, edgex, metadata, commands, fromBus, fromOutside };
      port = await rim.listen(options.port, options.bind);
      edgex.register(port);
    },
    async stop() {
      const was = running;
      running = undefined;
      if (was === undefined) return;
      await was.edgex.stop();
      await was.rim.close();
      await was.fromOutside?.close();
      await was.fromBus?.close();
      await was.metadata.close();
      was.commands.close();
    },
  };
}
