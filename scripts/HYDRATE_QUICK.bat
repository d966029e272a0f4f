@echo off
call "%~dp0launch.bat" hydrate_quick %*
exit /b %ERRORLEVEL%
