export { GatewayModule } from './gateway.module';
export { serveHttp } from './serve-http';
