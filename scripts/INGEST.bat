@echo off
call "%~dp0launch.bat" ingest %*
exit /b %ERRORLEVEL%
