export { TimersModule } from './timers.module';
