export { calendarTimes } from './calendar-times';
