import { COMMON_CONFIG_KEY } from '@antirio/edgex-service';
import type { GroupCommit } from '@antirio/host';
import type { KeyStore } from './key-store.ts';
import { pairsOf } from './keys.ts';

/** Where foreign services find what they need. */
export interface Addresses {
  readonly host: string;
  readonly messageBusPort: number;
  readonly coreMetadataPort: number;
  readonly coreKeeperPort: number;
}

const off = (...names: readonly string[]): Record<string, boolean> =>
  Object.fromEntries(names.map((name) => [name, false]));

/** What all services share: the names and defaults of EdgeX's core-common-config-bootstrapper. */
function allServices({ host, messageBusPort, coreKeeperPort }: Addresses): unknown {
  return {
    Writable: {
      Telemetry: {
        Interval: '30s',
        Metrics: off('SecuritySecretsRequested', 'SecuritySecretsStored'),
      },
    },
    Service: {
      HealthCheckInterval: '10s',
      ServerBindAddr: '',
      MaxResultCount: 1024,
      MaxRequestSize: 0,
      RequestTimeout: '5s',
      EnableNameFieldEscape: false,
      CORSConfiguration: {
        EnableCORS: false,
        CORSAllowCredentials: false,
        CORSAllowedOrigin: 'https://localhost',
        CORSAllowedMethods: 'GET, POST, PUT, PATCH, DELETE',
        CORSAllowedHeaders:
          'Authorization, Accept, Accept-Language, Content-Language, Content-Type, X-Correlation-ID',
        CORSExposeHeaders:
          'Cache-Control, Content-Language, Content-Length, Content-Type, Expires, Last-Modified, Pragma, X-Correlation-ID',
        CORSMaxAge: 3600,
      },
    },
    Registry: { Host: host, Port: coreKeeperPort, Type: 'keeper' },
    MessageBus: {
      Protocol: 'tcp',
      Host: host,
      Port: messageBusPort,
      Type: 'mqtt',
      AuthMode: 'none',
      BaseTopicPrefix: 'edgex',
      Optional: {
        Qos: '0',
        KeepAlive: '10',
        Retained: 'false',
        AutoReconnect: 'true',
        ConnectTimeout: '5',
        SkipCertVerify: 'false',
      },
    },
  };
}

function clientsOf({ host, coreMetadataPort }: Addresses): unknown {
  return { 'core-metadata': { Protocol: 'http', Host: host, Port: coreMetadataPort } };
}

function appServices(at: Addresses): unknown {
  const metrics = [
    'MessagesReceived',
    'InvalidMessagesReceived',
    'PipelineMessagesProcessed',
    'PipelineMessageProcessingTime',
    'PipelineProcessingErrors',
    'HttpExportSize',
    'MqttExportSize',
  ];
  return {
    Writable: {
      StoreAndForward: { Enabled: false, RetryInterval: '5m', MaxRetryCount: 10 },
      Telemetry: { Metrics: off(...metrics) },
    },
    Clients: clientsOf(at),
    Trigger: { Type: 'edgex-messagebus', SubscribeTopics: 'events/#' },
  };
}

function deviceServices(at: Addresses): unknown {
  return {
    MaxEventSize: 0,
    Writable: {
      Reading: { ReadingUnits: true },
      Telemetry: { Metrics: off('EventsSent', 'ReadingsSent') },
    },
    Clients: clientsOf(at),
    Device: {
      DataTransform: true,
      MaxCmdOps: 128,
      MaxCmdValueLen: 256,
      ProfilesDir: './res/profiles',
      DevicesDir: './res/devices',
      EnableAsyncReadings: true,
      AsyncBufferSize: 16,
      Discovery: { Enabled: false, Interval: '30s' },
    },
  };
}

/** The last key to be written: services wait for it. */
const READY = `${COMMON_CONFIG_KEY}/IsCommonConfigReady`;

/** Puts the common configuration there once; what is there, an operator may have changed. */
export async function seedCommonConfig(
  { commit, keys }: { readonly commit: Pick<GroupCommit, 'run'>; readonly keys: KeyStore },
  at: Addresses,
  now: number,
): Promise<void> {
  if (keys.at(READY).length > 0) return;
  const tree = {
    'all-services': allServices(at),
    'app-services': appServices(at),
    'device-services': deviceServices(at),
  };
  const pairs = [...pairsOf(COMMON_CONFIG_KEY, tree, true), [READY, 'true'] as const];
  await commit.run(0, () => keys.put(pairs, now));
}
