@echo off
call "%~dp0launch.bat" status %*
exit /b %ERRORLEVEL%
