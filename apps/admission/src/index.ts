export { AdmissionModule } from './admission.module';
