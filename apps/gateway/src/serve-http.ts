import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import type { PlatformConfig, RunningService } from '@perdure/platform-nest-runtime';
import { quietNest, startCommands, startFollowing } from '@perdure/platform-nest-runtime';
import { cleanupOpenApiDoc } from 'nestjs-zod';
import { BODY_BYTES_MAX } from './error.filter';

/** Starts a Nest application that serves the gateway's routes, alone or with the other services in it. */
export async function serveHttp(
  root: DynamicModule,
  { bind, port }: Pick<PlatformConfig, 'bind' | 'port'>,
): Promise<RunningService> {
  const adapter = new FastifyAdapter({ bodyLimit: BODY_BYTES_MAX, forceCloseConnections: true });
  const app = await NestFactory.create<NestFastifyApplication>(root, adapter, quietNest);
  describeApi(app);
  await app.init();
  await startFollowing(app);
  await startCommands(app);
  await app.listen(port, bind);
  return { about: { url: (await app.getUrl()).replace('[::1]', '127.0.0.1') }, close: () => app.close() };
}

function describeApi(app: NestFastifyApplication): void {
  const about = new DocumentBuilder()
    .setTitle('Perdure')
    .setDescription('Durable runs of agents and workflows.')
    .setVersion('1')
    .build();
  let text: string | undefined;
  app
    .getHttpAdapter()
    .get('/openapi.json', (_request: unknown, reply: { header(name: string, value: string): { send(body: string): void } }) => {
      text ??= JSON.stringify(cleanupOpenApiDoc(SwaggerModule.createDocument(app, about)));
      reply.header('content-type', 'application/json; charset=utf-8').send(text);
    });
}
